"""The composition root: one train from its settings to its report."""

from edge_agent.agent.run import Job, Vista, run

__all__ = ["Job", "Vista", "run"]
