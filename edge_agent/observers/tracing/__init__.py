"""An observer that makes traces of what the control path did: a span a frame, with its stages below it."""

from edge_agent.observers.tracing.sink import Tracer, open_tracer

__all__ = ["Tracer", "open_tracer"]
