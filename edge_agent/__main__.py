"""`python -m edge_agent`: the program `edge-agent`. Knows nothing else."""

from edge_agent.cli import main

main()
