"""What one train remembers of the commands it was given, so that each can be judged.

Knows clocks and locks. The rules stand in judge.py.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import structlog

from edge_agent.control.commands.model import STOPPING, Accepted, Code, CommandRequest, Refused
from edge_agent.control.commands.rules import CommandHistory, CommandRules, check_rules, may_command
from edge_agent.errors import EdgeAgentError

_log = structlog.get_logger(__name__)

REMEMBERED = 10_000
"""Ids that are remembered whatever their age, so that a clock which is set back does not make an old command new."""

_SECOND_S = 1.0


class Authorizer:
    """Judges the commands of one train: one gate for all channels, safe in every thread.

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
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._shown: deque[float] = deque()

    def admit(self, request: CommandRequest, read_rules: Callable[[], CommandRules]) -> Accepted | Refused:
        """Judge a command and, where the train obeys it, remember it.

        `read_rules` gives the rules of the channel; it is called for each command that does more than stop, so that a
        new token works at once. Where it raises EdgeAgentError, nothing but a stop is obeyed.
        """
        now_s, now_unix_s = self._clock(), self._wall()
        if request.verb in STOPPING:
            self._stopped_s = now_s
            return check_rules(request, now_unix_s, CommandRules(None), CommandHistory())
        try:
            rules = read_rules()
        except EdgeAgentError as error:
            _log.warning("command_token_unreadable", error=error.message, remedy=error.remedy)
            return Refused(Code.NO_TOKEN_SET, "the train cannot read its command token and obeys only stops")
        with self._lock:
            past = CommandHistory(
                self._ids,
                up_s=now_s - self._started_s,
                since_stop_s=now_s - self._stopped_s,
                recent=self._count(request, rules, now_s),
            )
            verdict = check_rules(request, now_unix_s, rules, past)
            if isinstance(verdict, Accepted):
                self._remember(verdict.instruction.command_id)
        return verdict

    def _count(self, request: CommandRequest, rules: CommandRules, now_s: float) -> int:
        """Count the commands of the last second that showed the token: others must not keep its owner out."""
        while self._shown and (now_s - self._shown[0] >= _SECOND_S or len(self._shown) > rules.max_per_s):
            self._shown.popleft()
        if may_command(request, rules) is None:
            self._shown.append(now_s)
        return len(self._shown)

    def _remember(self, command_id: str | None) -> None:
        if command_id is None:
            return
        self._ids[command_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
