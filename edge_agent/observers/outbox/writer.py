"""The work of the outbox's thread: encode and commit values, answer requests, and carry on when the disk fails."""

import queue
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from edge_agent.errors import EdgeAgentError, RetryableError
from edge_agent.observers.outbox import file as outbox_file
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.status import OutboxFaultReporter, OutboxStats
from edge_agent.observers.outbox.store import OutboxStore
from edge_agent.runtime.queues import ThreadQueue

T = TypeVar("T")

COMMIT_EVERY_S = 0.1
_MAX_PENDING = 1000

_log = structlog.get_logger(__name__)


class OutboxUnavailableError(RetryableError):
    """The outbox cannot be used now (locked, full, closed); asking again later may help."""


@dataclass(frozen=True, slots=True)
class Wake:
    """A value was handed over."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read rows after a sequence number."""

    after_seq: int
    max_rows: int
    max_bytes: int
    answer: "Future[list[OutboxRecord]]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Rows up to `seq` have arrived: delete them with the next commit."""

    seq: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The row can never be sent: move it to the dead letters."""

    seq: int
    reason: str
    answer: "Future[None]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Flush:
    """Commit now what was handed over before."""

    answer: "Future[None]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Close:
    """Commit what was handed over, close the file, end the thread."""


OutboxRequest = Wake | Read | Acknowledge | DeadLetter | Flush | Close


def refuse(request: OutboxRequest, why: str) -> None:
    """Fail a request that can no longer be answered."""
    if isinstance(request, Read | DeadLetter | Flush) and request.answer.set_running_or_notify_cancel():
        request.answer.set_exception(OutboxUnavailableError(why))


class OutboxWriter(Generic[T]):
    """The outbox's work, one step at a time, in a thread of its own.

    Args:
        open_store: opens the store; called again after an error.
        encode: turns a value into records, the first with the given sequence number.
        handover: the queue of values.
        requests: the queue of requests, and of wake-ups by the handover.
        faults: reports faults, in this thread.
        committed: called after each commit of new rows, in this thread.
    """

    def __init__(
        self,
        open_store: Callable[[], OutboxStore],
        encode: Callable[[T, int], Sequence[OutboxRecord]],
        handover: ThreadQueue[T],
        requests: "queue.SimpleQueue[OutboxRequest]",
        *,
        faults: OutboxFaultReporter,
        committed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = OutboxStats()
        self._open_store = open_store
        self._encode = encode
        self._handover = handover
        self._requests = requests
        self._faults = faults
        self._committed = committed
        self._clock = clock
        self._store: OutboxStore | None = None
        self._pending: list[OutboxRecord] = []
        self._poll_at_s: float | None = None
        self._commit_at_s: float | None = None
        self._acknowledged_seq: int | None = None
        self._retry_at_s = 0.0
        self._commits = 0
        self._failed = 0

    def run(self) -> None:
        """Run until asked to close; the file is closed however this ends."""
        try:
            while self.step():
                pass
            self._finish()
        finally:
            if self._store is not None:
                self._store.close()

    def step(self) -> bool:
        """Handle one request or wait until something is due; return False when asked to close."""
        request = self._next_request()
        if isinstance(request, Close):
            return False
        ready = self._ready()
        if request is not None:
            self._answer(request)
        if self._poll_at_s is not None and self._clock() >= self._poll_at_s:
            self._poll(ready=ready)
        if self._commit_at_s is not None and self._clock() >= self._commit_at_s:
            self._commit()
        return True

    def _next_request(self) -> OutboxRequest | None:
        """Wait for a request, at most until something else is due."""
        retry_at_s = self._retry_at_s if self._store is None else None
        waits = [at_s for at_s in (self._poll_at_s, self._commit_at_s, retry_at_s) if at_s is not None]
        timeout_s = max(0.0, min(waits) - self._clock()) if waits else None
        try:
            return self._requests.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _ready(self) -> bool:
        """Return whether the store is open; open it if it is not and a retry is due."""
        if self._store is not None:
            return True
        if self._clock() < self._retry_at_s:
            return False
        try:
            store = self._open_store()
        except (sqlite3.Error, OSError, RetryableError) as error:
            self._on_error(error)
            return False
        self._store = store
        if store.set_aside is not None:
            self._faults.report_set_aside(store.set_aside)
        self._faults.clear_stuck()
        self._update_stats()
        self._committed()  # there may be rows of an earlier run
        return True

    def _poll(self, *, ready: bool) -> None:
        """Take all that was handed over since the last poll, and schedule its commit.

        As long as values come, the next poll is due soon and the thread need not be woken; once none came, it asks to
        be woken by the next one.
        """
        room = ready and len(self._pending) < _MAX_PENDING
        if room and not len(self._handover):
            self._handover.arm_wakeup()
            self._poll_at_s = None
        else:
            self._poll_at_s = self._clock() + COMMIT_EVERY_S
        if room:
            self._take()  # even if the queue was empty: a value may have come before we asked to be woken
        if self._pending and (self._commit_at_s is None or not self._faults.stuck_by):
            self._commit_at_s = self._clock()

    def _take(self) -> None:
        """Encode what was handed over, as much as fits into one commit."""
        store = self._store
        while store is not None and len(self._pending) < _MAX_PENDING:
            value = self._handover.pop()
            if value is None:
                break
            try:
                records = self._encode(value, store.next_seq + len(self._pending))
            except EdgeAgentError as error:
                self._failed += 1
                _log.warning("an event cannot be put on the wire", error=error.message)
                continue
            self._pending.extend(records)

    def _answer(self, request: OutboxRequest) -> None:
        match request:
            case Wake() if self._poll_at_s is None:
                self._poll_at_s = self._clock() + COMMIT_EVERY_S
            case Read():
                self._respond(request.answer, lambda: self._read(request), "the outbox cannot be read now")
            case Acknowledge(seq):
                self._acknowledged_seq = max(seq, self._acknowledged_seq or 0)
                if self._commit_at_s is None:
                    self._commit_at_s = self._clock() + COMMIT_EVERY_S
            case DeadLetter():
                self._respond(request.answer, lambda: self._dead_letter(request), "the outbox cannot be written now")
            case Flush():
                self._respond(request.answer, self._flush, "the outbox cannot be written now")
            case _:
                pass

    def _respond(self, answer: "Future[Any]", work: Callable[[], object], why_not: str) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except OutboxUnavailableError as error:
            answer.set_exception(error)
        except sqlite3.Error as error:
            self._on_error(error)
            answer.set_exception(OutboxUnavailableError(why_not))
        else:
            answer.set_result(result)

    def _read(self, request: Read) -> list[OutboxRecord]:
        return self._opened().read(request.after_seq, request.max_rows, request.max_bytes)

    def _dead_letter(self, request: DeadLetter) -> None:
        self._opened().dead_letter(request.seq, request.reason)
        self._update_stats()

    def _opened(self) -> OutboxStore:
        if self._store is None:
            raise OutboxUnavailableError("the outbox is not open now")
        return self._store

    def _commit(self) -> None:
        """Write what is pending in one transaction; if that fails, keep it and try again later."""
        store = self._store
        if store is None:
            self._commit_at_s = self._retry_at_s
            return
        started_s = self._clock()
        try:
            evicted = store.commit(self._pending, self._acknowledged_seq)
            if not any(count.rows for count in store.counts.values()):
                store.give_back_space()
        except sqlite3.Error as error:
            self._on_error(error)
            return
        grown = bool(self._pending)
        self._pending, self._acknowledged_seq, self._commit_at_s = [], None, None
        self._commits += 1
        self._faults.clear_stuck()
        self._faults.report_evicted(evicted)
        took_ms = (self._clock() - started_s) * 1000
        self._faults.report_commit_time(took_ms)
        self._update_stats(took_ms)
        if grown:
            self._committed()
        if self._poll_at_s is not None:  # pause even if the disk is slow, unless a full commit is waiting
            pause_s = 0.0 if len(self._handover) >= _MAX_PENDING else COMMIT_EVERY_S
            self._poll_at_s = self._clock() + pause_s

    def _on_error(self, error: Exception) -> None:
        """Set a damaged file aside; after any other error wait and try again. Pending records are kept."""
        self._retry_at_s = self._clock() + 0.5
        store = self._store
        if store is not None and isinstance(error, sqlite3.Error) and outbox_file.is_broken(error):
            store.close()
            self._store = None
            if store.path != outbox_file.MEMORY:
                self._faults.report_set_aside(outbox_file.set_aside(store.path))
            self._retry_at_s = self._clock()
        else:
            self._faults.report_stuck(error)
        if self._commit_at_s is not None:
            self._commit_at_s = self._retry_at_s
        self._update_stats()

    def _update_stats(self, commit_ms: float | None = None) -> None:
        """Replace the statistics in one assignment, so that other threads see a consistent value."""
        store, was = self._store, self.stats
        usable = store is not None and not self._faults.stuck_by
        self.stats = OutboxStats(
            counts=dict(store.counts) if store else was.counts,
            oldest_ms=store.oldest_ms() if store and usable else was.oldest_ms,
            pending=len(self._pending),
            commits=self._commits,
            commit_ms=was.commit_ms if commit_ms is None else round(commit_ms, 2),
            failed=self._failed,
            stuck_by=self._faults.stuck_by,
            durable=store is None or store.path != outbox_file.MEMORY,
            last_seq=store.next_seq - 1 if store else was.last_seq,
        )

    def _flush(self) -> None:
        if not self._commit_all():
            raise OutboxUnavailableError("the outbox cannot be written now")

    def _commit_all(self) -> bool:
        """Commit everything that was handed over; return False if that does not work now."""
        while self._ready():
            self._take()
            if not self._pending and self._acknowledged_seq is None:
                return True
            self._commit()
            if self._faults.stuck_by:
                break
        return False

    def _finish(self) -> None:
        """Commit what is left and fail the remaining requests."""
        self._commit_all()
        while not self._requests.empty():
            refuse(self._requests.get(), "the outbox is closed")
