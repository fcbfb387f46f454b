"""Observers of a run: which ones the settings ask for, and a fence around each, so that a fault of theirs is only told.

Knows the mirrors. Knows nothing of the control path, which never waits for any of them.
"""

import asyncio
from collections.abc import Callable

import structlog

from edge_agent.errors import EdgeAgentError
from edge_agent.events import Fault, Severity
from edge_agent.ports import EventSource, Sink

_log = structlog.get_logger(__name__)


async def fenced(sink: Sink, events: EventSource, tell: Callable[[Fault], None]) -> None:
    """Run an observer until cancelled; when it fails, tell so and go on without it: the train drives on."""
    try:
        await sink.run(events)
    except EdgeAgentError as error:
        message, remedy = error.message, error.remedy
        _log.error("observer_failed", observer=sink.name, error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a mirror does wrong, it must not stop the train
        message, remedy = f"{type(error).__name__}: {error}", "report this, with the log"
        _log.exception("observer_failed", observer=sink.name)
    else:
        return
    now_s = asyncio.get_running_loop().time()
    tell(Fault(f"{sink.name}_failed", f"the {sink.name} stopped: {message}", remedy, Severity.DEGRADED, now_s))
