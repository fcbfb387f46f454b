"""The memory of one train's commands that the rules need: ids, the last stop, the pace; safe in every thread."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import structlog

from edge_agent.control.commands.model import Code, Command, Refusal
from edge_agent.control.commands.rules import CommandHistory, CommandRules, check_rules, check_sender
from edge_agent.errors import EdgeAgentError

_log = structlog.get_logger(__name__)

REMEMBERED = 10_000
"""Ids that are remembered whatever their age, so that a clock which is set back does not make an old command new."""

_SECOND_S = 1.0


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
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._token_shown_s: deque[float] = deque()

    def authorize(self, command: Command, read_rules: Callable[[], CommandRules]) -> Refusal | None:
        """Return why the train does not obey a command; None where it does, which is remembered.

        `read_rules` returns the rules of the channel; it is called for each command that does more than stop, so that a
        new token works at once. Where it raises EdgeAgentError, nothing but a stop is obeyed.
        """
        now_s, now_unix_s = self._clock(), self._wall()
        if command.stops:
            self._stopped_s = now_s
            return None
        if command.malformed is not None:
            return command.malformed
        try:
            rules = read_rules()
        except EdgeAgentError as error:
            # The sender must not learn what the train's files are called.
            _log.warning("command_token_unreadable", error=error.message, remedy=error.remedy)
            return Refusal(Code.NO_TOKEN_SET, "the train cannot read its command token and obeys only stops")
        with self._lock:
            history = CommandHistory(
                self._ids,
                up_s=now_s - self._started_s,
                since_stop_s=now_s - self._stopped_s,
                recent=self._count_recent(command, rules, now_s),
            )
            refusal = check_rules(command, now_unix_s, rules, history)
            if refusal is None:
                self._remember(command.command_id)
        return refusal

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
