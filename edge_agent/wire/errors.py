"""What is wrong with a message from outside.

Knows the failure only. Knows nothing of transports.
"""

from edge_agent.errors import EdgeAgentError


class MalformedMessageError(EdgeAgentError):
    """A message that is no event of ours: drop it and count it. Nothing on the train can mend it."""
