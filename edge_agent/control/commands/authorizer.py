"""The memory of one train's commands that the rules need: ids, the last stop, the pace; safe in every thread."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from edge_agent.control.commands.model import Code, Command, Refusal
from edge_agent.control.commands.rules import CommandHistory, CommandRules, check_rules, check_sender
from edge_agent.errors import EdgeAgentError

_log = structlog.get_logger(__name__)

REMEMBERED = 10_000
"""Ids that are remembered whatever their age, so that a clock which is set back does not make an old command new."""

_SECOND_S = 1.0


@dataclass(frozen=True, slots=True)
class Admission:
    """What was decided on a command when it came in; without a `refusal` it may be executed.

    A command that does more than stop may be until the next stop, which `stops` finds, and until `until_s`.
    """

    refusal: Refusal | None = None
    stops: int | None = None
    until_s: float = float("inf")


class Authorizer:
    """Decides which commands one train obeys: one for all channels.

    Args:
        wall: the wall clock, in seconds since 1970.
        clock: monotonic seconds.
    """

    def __init__(self, *, wall: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._clock = clock
        self._lock = threading.Lock()
        self._started_s = clock()
        self._stopped_s = -float("inf")
        self._stops = 0
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._token_shown_s: deque[float] = deque()

    @property
    def stops(self) -> int:
        """How many stops came in by now, on all channels."""
        return self._stops

    def authorize(
        self, command: Command, read_rules: Callable[[], CommandRules], *, stops: int | None = None
    ) -> Admission:
        """Return whether the train obeys a command, which is remembered where it does.

        `read_rules` returns the rules of the channel; it is called for each command that does more than stop, so that a
        new token works at once. Where it raises EdgeAgentError, nothing but a stop is obeyed. `stops` is the value of
        the property when the command came in, where that was before this call.
        """
        if command.stops:
            with self._lock:
                self._stops += 1
                self._stopped_s = self._clock()
            return Admission()
        stops = self._stops if stops is None else stops
        if command.malformed is not None:
            return Admission(command.malformed)
        try:
            rules = read_rules()
        except EdgeAgentError as error:
            # The sender must not learn what the train's files are called.
            _log.warning("command_token_unreadable", error=error.message, remedy=error.remedy)
            return Admission(Refusal(Code.NO_TOKEN_SET, "the train cannot read its command token and obeys only stops"))
        with self._lock:
            # Only now: reading the rules may take a while.
            now_s, now_unix_s = self._clock(), self._wall()
            history = CommandHistory(
                self._ids,
                up_s=now_s - self._started_s,
                since_stop_s=now_s - self._stopped_s,
                recent=self._count_recent(command, rules, now_s),
            )
            refusal = check_rules(command, now_unix_s, rules, history)
            if refusal is None:
                self._remember(command.command_id)
        age_s = now_unix_s - (command.issued_unix_s or now_unix_s)
        return Admission(refusal, stops, now_s + rules.max_age_s - age_s)

    def check_again(self, admission: Admission) -> Refusal | None:
        """Return why a command may not be executed now, by when and after how many stops it was admitted."""
        if admission.refusal is not None or admission.stops is None:
            return admission.refusal
        if admission.stops != self._stops:
            return Refusal(Code.STOPPED, "a stop came after it; send it again if the train may move")
        if self._clock() > admission.until_s:
            return Refusal(Code.STALE, "it became too old while it waited for the train; send it again")
        return None

    def _count_recent(self, command: Command, rules: CommandRules, now_s: float) -> int:
        """Count the commands of the last second that showed the token: others must not keep its owner out."""
        shown_s = self._token_shown_s
        while shown_s and (now_s - shown_s[0] >= _SECOND_S or len(shown_s) > rules.max_per_s):
            shown_s.popleft()
        if check_sender(command, rules) is None:
            shown_s.append(now_s)
        return len(shown_s)

    def _remember(self, command_id: str | None) -> None:
        if command_id is None:
            return
        self._ids[command_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
