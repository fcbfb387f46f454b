"""What makes a start quick.

`python -m tools.startup_cost` measures each trick, here and elsewhere, by taking it away; the share that a trick saves
stands beside it. Others are late imports in the commands' functions (93% of `--help`) and in agent/ (38% of a start),
`load_when_driving` in agent/http.py (21%), the named command's file alone in cli/program.py (8%) and, for the loop's
lag, the selector in runtime/event_loop.py. What brings 8 to 10% alone stays because together it brings a third.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_agent.errors import ConfigError

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.ports import Detector

_EXIT_WAIT_S = 5.0
OPEN_TIMEOUT_S = 60.0
"""Time for the detector to be opened and to answer once; ours takes a tenth of a second."""


def set_library_defaults() -> None:
    """Set what libraries read from the environment when they are imported; what the user has set stays."""
    # FFmpeg's users share one log level: errors are logged by us, in one line each.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # ONNX Runtime would leave a device id in the home folder and send usage data.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def speed_up_run() -> None:
    """Switch off, for `edge-agent run`, what slows down loading."""
    # numpy's OpenBLAS, which a train does not need, would start a thread on each core that spins meanwhile (10%).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def load_structlog() -> None:
    """Load structlog as if rich were not installed (9% of a start).

    rich takes as long to load as numpy, and structlog needs it only for a traceback style that our lines do not use
    (`log` writes them as plain text). Our own tables load rich when they are printed.
    """
    if {"rich", "structlog"} & sys.modules.keys():
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's way to mark a module as missing
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]


def preload_detector(settings: "Settings") -> "Callable[[], Detector] | None":
    """Start opening the detector in a thread, and return a function that waits for it (10% of a start).

    The function raises whatever went wrong, and ConfigError after OPEN_TIMEOUT_S. None where the run has to open the
    detector itself: one that works on a GPU is used in the thread that opened it.
    """
    import atexit
    import threading
    from concurrent.futures import Future

    # Everything is imported before the thread starts: two threads that import at once are slower than one.
    from edge_agent.perception.detector import open_detector, starts_on_cpu

    if not starts_on_cpu(settings.detector):
        return None
    opening: Future[Detector] = Future()

    def work() -> None:
        try:
            opening.set_result(open_detector(settings.detector))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            opening.set_exception(error)

    def opened() -> "Detector":
        try:
            detector = opening.result(OPEN_TIMEOUT_S)
        except TimeoutError:
            name = settings.detector.model or "the shipped model"
            text = f"{name}: the model does not answer within {OPEN_TIMEOUT_S:g} s"
            raise ConfigError(text, remedy="export it again, without loops", hangs=True) from None
        thread.join()
        return detector

    # A daemon: a model that never answers must not keep the process from ending.
    thread = threading.Thread(target=work, name="detector-ahead", daemon=True)
    thread.start()
    # A run that ends before it begins (a taken port) would leave while ONNX Runtime starts its threads, and abort.
    atexit.register(thread.join, _EXIT_WAIT_S)
    return opened
