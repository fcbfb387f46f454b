"""The whole program `edge-agent`, with every command; for those who call it from Python. Knows nothing else."""

from edge_agent.cli.program import COMMANDS, build

app = build(COMMANDS)
