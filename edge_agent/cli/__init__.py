"""The command line: parses and calls; nothing else. One file a command."""

from edge_agent.cli.app import main

__all__ = ["main"]
