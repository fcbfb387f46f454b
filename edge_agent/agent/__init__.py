"""The composition root: runs one train, from its settings to its report.

In come the settings and the sign rules, out goes the run report; build.py makes the components and wires them, run.py
starts their tasks and ends them. All of it runs in the train's event loop, except the web server, which console.py
serves in a thread and loop of its own.
"""

from edge_agent.agent.run import RunOptions, RunView, run

__all__ = ["RunOptions", "RunView", "run"]
