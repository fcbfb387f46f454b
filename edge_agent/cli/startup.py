"""Opens the detector while the rest of a run's code is loaded: making a network ready is no work of Python's.

Knows which detector may be opened so. Knows nothing of what is done with it.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.ports import Detector


def preload_detector(settings: "Settings") -> "Callable[[], Detector] | None":
    """Begin to open the detector that a train starts with, and return what waits for it.

    None where the run has to open it by itself: what works on a GPU is used in the thread that opened it. Whatever is
    wrong is raised by what was returned. All that is imported here is imported before the thread begins: two threads
    that import at once are slower than one, and not every library can bear it.
    """
    from edge_agent.perception.detector import open_detector, starts_on_cpu

    if not starts_on_cpu(settings.detector):
        return None
    thread = ThreadPoolExecutor(1, thread_name_prefix="detector-ahead")
    opening = thread.submit(open_detector, settings.detector)
    thread.shutdown(wait=False)  # it ends by itself when that is done
    return opening.result


def load_structlog() -> None:
    """Load structlog as it is where rich is not installed.

    rich takes as long to load as numpy, and structlog wants it only for tracebacks of a form that our lines do not have
    (`log` has them written as plain text). Our own tables load rich when they are printed.
    """
    if {"rich", "structlog"} & sys.modules.keys():
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's way to say that there is no such module
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
