"""The console of a fleet: reads the trains' events from Kafka and sends commands through it; stores nothing on disk.

Runs in a process of its own. The console is served from the main thread; the listener and the commander each have a
thread with an event loop, because a Kafka client that hangs is cancelled together with everything it started.
"""

from edge_agent.console.fleet.run import FleetConsole, run

__all__ = ["FleetConsole", "run"]
