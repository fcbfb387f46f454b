"""Asyncio, threads, files and the log: queues, timeouts, backoff, rate limits, paths, permissions.

General tools without state of the agent's own: values and callbacks come in, and each module says in which thread its
parts run.
"""
