"""Asyncio, threads, files and the log: queues, timeouts, backoff, rate limits, paths, permissions.

Holds no state of the agent's own. What goes in and out, and in which thread, each module says; none of them knows
trains, events or settings.
"""
