"""The agent's HTTP server in the train's event loop: figures and health now, the web page beside them later.

Knows HTTP. Knows nothing of how the train is controlled.
"""
