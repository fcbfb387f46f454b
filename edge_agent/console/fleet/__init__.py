"""The console of many trains: a consumer of their Kafka topics, without a memory of its own."""

from edge_agent.console.fleet.run import FleetConsole, run

__all__ = ["FleetConsole", "run"]
