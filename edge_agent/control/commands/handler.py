"""The one way of a command from a channel to the train: authorized where it came in, executed in the train's loop.

A channel parses its message and submits the command from its own thread, which is where the token's file is read: the
train's loop never waits for a disk.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Protocol

import structlog

from edge_agent.control.commands.authorizer import Admission, Authorizer
from edge_agent.control.commands.model import Channel, Code, Command, Refusal
from edge_agent.control.commands.rules import CommandRules
from edge_agent.events import CommandResult
from edge_agent.runtime.threads import in_daemon_thread

_log = structlog.get_logger(__name__)


class Executor(Protocol):
    """What the train does with a command. Called in its loop."""

    def execute(self, command: Command) -> CommandResult:
        """Do what was commanded; publish and return the result."""
        ...

    def refuse(self, command: Command, refusal: Refusal) -> CommandResult:
        """Publish and return that the train does not obey."""
        ...


class CommandHandler:
    """Handles the commands of all channels of one train. Made in the train's event loop.

    `accepted` and `refused` count the results by channel.

    Args:
        authorizer: decides what is obeyed.
        read_rules: returns the rules of a channel; it may read a file, so it is called outside the train's loop.
        executor: what the train does.
    """

    def __init__(
        self, authorizer: Authorizer, read_rules: Callable[[Channel], CommandRules], executor: Executor
    ) -> None:
        self.accepted: Counter[Channel] = Counter()
        self.refused: Counter[Channel] = Counter()
        self._authorizer = authorizer
        self._read_rules = read_rules
        self._executor = executor
        self._loop = asyncio.get_running_loop()

    @property
    def stops(self) -> int:
        """How many stops came in by now, on all channels."""
        return self._authorizer.stops

    def submit(
        self,
        command: Command,
        reply: Callable[[CommandResult], None] = lambda result: None,
        *,
        stops: int | None = None,
    ) -> None:
        """Authorize a command here and have it executed in the train's loop, where `reply` gets the result.

        From any thread but the train's. Once the train's loop is closed, `reply` is called here, with a refusal.
        `stops` is the value of the property when the command came in, where that was before this call: what came in
        before a stop is not executed after it.
        """
        admission = self._authorizer.authorize(command, lambda: self._read_rules(command.channel), stops=stops)
        try:
            self._loop.call_soon_threadsafe(self._settle, command, admission, reply)
        except RuntimeError:  # the loop is closed
            reply(refused(command, Refusal(Code.FAILED, "the agent is shutting down"), self._loop.time()))
        # Here and last: neither the train's loop nor a stop waits for a log that is slow. The console logs its commands
        # itself, with the client's address and the result.
        if command.channel is not Channel.CONSOLE:
            _log_decision(command, admission.refusal)

    async def handle(self, command: Command) -> CommandResult:
        """Submit a command and wait for its result; in any loop. Nothing is read before a stop is submitted."""
        future: Future[CommandResult] = Future()

        def reply(result: CommandResult) -> None:
            with contextlib.suppress(InvalidStateError):  # the caller has timed out
                future.set_result(result)

        stops = self.stops
        if command.stops:
            self.submit(command, reply)
        else:
            await in_daemon_thread(lambda: self.submit(command, reply, stops=stops), "command")
        return await asyncio.wrap_future(future)

    def _settle(self, command: Command, admission: Admission, reply: Callable[[CommandResult], None]) -> None:
        # Again, and here: a stop may have come, and been executed, since the command was authorized in its thread.
        refusal = self._authorizer.check_again(admission)
        result = self._executor.execute(command) if refusal is None else self._executor.refuse(command, refusal)
        (self.accepted if result.accepted else self.refused)[command.channel] += 1
        reply(result)


def refused(command: Command, refusal: Refusal, at_s: float) -> CommandResult:
    """Return the result of a command that the train does not obey; `at_s` is by the event loop's clock."""
    return CommandResult(
        command.channel.value,
        command.sender,
        command.command_id,
        command.name,
        accepted=False,
        code=refusal.code.value,
        state=None,
        reason=refusal.reason,
        at_s=at_s,
    )


def _log_decision(command: Command, refusal: Refusal | None) -> None:
    channel, name = command.channel.value, command.name
    if refusal is None:
        _log.info(
            "command", channel=channel, name=name, id=command.command_id, by=command.sender, reason=command.reason
        )
    else:
        _log.warning("command_refused", channel=channel, name=name, code=refusal.code.value, reason=refusal.reason)
