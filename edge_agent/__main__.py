"""`python -m edge_agent`: the program `edge-agent`."""

from edge_agent.cli import main

main()
