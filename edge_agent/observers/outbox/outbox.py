"""The outbox: takes values from the event loop without blocking it, and keeps them as records until they are sent."""

import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from edge_agent.config import KafkaSettings, Settings
from edge_agent.errors import ConfigError
from edge_agent.faults import OUTBOX_FAILED, OUTBOX_NOT_DURABLE, FaultReporter
from edge_agent.observers.outbox import writer
from edge_agent.observers.outbox.file import MEMORY, OutboxLock
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.status import OutboxFaultReporter, OutboxStats, explain
from edge_agent.observers.outbox.store import Budget, OutboxStore
from edge_agent.runtime.permissions import folder_problem
from edge_agent.runtime.queues import ThreadQueue
from edge_agent.runtime.resources import state_dir

T = TypeVar("T")

_MEMORY_BUDGET = Budget(events_bytes=32_000_000, events_h=0.0, images_bytes=16_000_000)
_OUT_OF_REACH = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})

_log = structlog.get_logger(__name__)


class Outbox(Generic[T]):
    """Keeps what waits for the uplink.

    `put` belongs to one thread (the event loop); everything else may be called from any. If the file cannot be used
    at all, a smaller number of rows is kept in memory, and a fault reports that.

    Args:
        budget: the limits of what may wait.
        encode: called in the outbox's thread with a value and the sequence number of its first record.
        dictionary: for deflating the rows of a new file; see record.pack.
        faults: by a monotonic clock; used in the outbox's thread.
    """

    def __init__(
        self,
        path: Path,
        budget: Budget,
        encode: Callable[[T, int], Sequence[OutboxRecord]],
        *,
        dictionary: bytes = b"",
        faults: FaultReporter,
        max_items: int = 20_000,
        max_bulky: int = 30,
    ) -> None:
        self._path = path
        self._budget = budget
        self._dictionary = dictionary
        self._faults = faults
        self._lock = OutboxLock(path)
        self._requests: queue.SimpleQueue[writer.OutboxRequest] = queue.SimpleQueue()
        self._handover: ThreadQueue[T] = ThreadQueue(
            lambda: self._requests.put(writer.Wake()), max_items=max_items, max_bulky=max_bulky
        )
        self._committed: Callable[[], None] = lambda: None
        self._writer = writer.OutboxWriter(
            self._open,
            encode,
            self._handover,
            self._requests,
            faults=OutboxFaultReporter(faults),
            committed=self._on_commit,
        )
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._closed = False

    @property
    def stats(self) -> OutboxStats:
        """Statistics after the last commit."""
        return self._writer.stats

    @property
    def lost(self) -> tuple[int, int]:
        """Number of events and of pictures dropped because the disk could not keep up."""
        return self._handover.lost, self._handover.lost_bulky

    @property
    def waiting(self) -> int:
        """Number of values that the outbox's thread has not taken yet."""
        return len(self._handover)

    def start(self, committed: Callable[[], None] = lambda: None) -> None:
        """Start the thread; `committed` is called in it after each commit of new rows."""
        self._committed = committed
        self._thread.start()

    def put(self, value: T, *, bulky: bool = False) -> bool:
        """Hand over a value; return False if there is no room, which is counted. Never waits."""
        return self._handover.put(value, bulky=bulky)

    def read(self, after_seq: int, max_rows: int, max_bytes: int) -> "Future[list[OutboxRecord]]":
        """Request committed rows after `after_seq`, in order; fails with OutboxUnavailableError."""
        return self._submit(writer.Read(after_seq, max_rows, max_bytes))

    def acknowledge(self, seq: int) -> None:
        """Delete the rows up to `seq` with the next commit: they have arrived."""
        self._requests.put(writer.Acknowledge(seq))

    def dead_letter(self, seq: int, reason: str) -> "Future[None]":
        """Move the row `seq` to the dead letters; fails with OutboxUnavailableError."""
        return self._submit(writer.DeadLetter(seq, reason))

    def flush(self) -> "Future[None]":
        """Commit now what was put before; fails with OutboxUnavailableError if the disk does not allow it."""
        return self._submit(writer.Flush())

    def close(self, timeout_s: float) -> bool:
        """Commit what is here and end the thread; return False if that takes longer (it then ends with the process)."""
        self._requests.put(writer.Close())
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _submit(self, request: writer.Read | writer.DeadLetter | writer.Flush) -> "Future[Any]":
        self._requests.put(request)
        self._refuse_when_closed()
        return request.answer

    def _run(self) -> None:
        try:
            self._writer.run()
        except Exception:  # noqa: BLE001 - a bug of ours must be reported; it must not end the train's drive
            _log.exception("the outbox's thread has failed")
            message = "the outbox has failed; nothing more reaches Kafka until the agent is started again"
            self._faults.report(OUTBOX_FAILED, message)
        finally:
            self._closed = True
            self._refuse_when_closed()
            self._lock.release()

    def _on_commit(self) -> None:
        self._committed()

    def _refuse_when_closed(self) -> None:
        """Fail the requests that came after the thread has ended."""
        while self._closed and not self._requests.empty():
            writer.refuse(self._requests.get(), "the outbox is closed")

    def _open(self) -> OutboxStore:
        """Open the file; if it is inaccessible or not an outbox, keep rows in memory instead."""
        try:
            self._lock.acquire()
            return OutboxStore(self._path, self._budget, dictionary=self._dictionary)
        except (ConfigError, OSError, sqlite3.Error) as error:
            self._lock.release()
            if isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in _OUT_OF_REACH:
                raise
            refused = None if isinstance(error, ConfigError) else folder_problem(self._path.parent)
            words, remedy = (refused.message, refused.remedy) if refused else explain(error)
            message = f"the outbox is in memory and will not survive the agent: {words}"
            self._faults.report(OUTBOX_NOT_DURABLE, message, remedy)
            return OutboxStore(MEMORY, _MEMORY_BUDGET, dictionary=self._dictionary)


def budget_of(settings: KafkaSettings) -> Budget:
    """Return the outbox's budgets in its own units."""
    outbox = settings.outbox
    return Budget(outbox.max_events_mb * 1_000_000, outbox.max_events_h, outbox.max_images_mb * 1_000_000)


def outbox_path(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return the outbox's path: the one in the settings, else one in the state folder."""
    if settings.kafka.outbox.path is not None:
        return settings.kafka.outbox.path
    return (settings.state.directory or state_dir(environ)) / "outbox.db"
