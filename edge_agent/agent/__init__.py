"""The composition root: one train from its settings to its report."""

from edge_agent.agent.run import RunOptions, RunView, run

__all__ = ["RunOptions", "RunView", "run"]
