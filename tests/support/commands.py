"""A train that keeps what it is commanded, behind a real CommandHandler."""

import json
import time
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from edge_agent.control.commands import (
    Authorizer,
    Channel,
    Command,
    CommandHandler,
    CommandRules,
    Refusal,
    refused,
)
from edge_agent.events import CommandResult

TOKEN = "open sesame"  # noqa: S105 - for tests
RULES = CommandRules(SecretStr(TOKEN))


class RecordingExecutor:
    """Records commands and refusals; `result` changes what an executed command comes to."""

    def __init__(self) -> None:
        self.executed: list[Command] = []
        self.results: list[CommandResult] = []
        self.result: Callable[[Command], CommandResult] = done

    def execute(self, command: Command) -> CommandResult:
        self.executed.append(command)
        self.results.append(self.result(command))
        return self.results[-1]

    def refuse(self, command: Command, refusal: Refusal) -> CommandResult:
        self.results.append(refused(command, refusal, 7.0))
        return self.results[-1]


def done(command: Command, *, accepted: bool = True, state: str = "running", reason: str = "done") -> CommandResult:
    """Return what a train says to a command that it has executed."""
    code = None if accepted else "failed"
    who, verb = command.sender, str(command.verb)
    return CommandResult(command.channel, who, command.command_id, verb, accepted, code, state, reason, 7.0)


def old_authorizer() -> Authorizer:
    """Return an authorizer that has been there for an hour: a command a second old is not from before its start."""
    began = [time.monotonic() - 3600]
    return Authorizer(clock=lambda: began.pop() if began else time.monotonic())


def command_handler(
    executor: RecordingExecutor, read_rules: Callable[[Channel], CommandRules] = lambda channel: RULES
) -> CommandHandler:
    """Return a handler whose commands are recorded. In a running loop."""
    return CommandHandler(old_authorizer(), read_rules, executor)


def body(command_id: str = "c-1", *, shows: str | None = TOKEN, **changes: Any) -> bytes:
    """Return the body of a command with everything in order, that shows a token; None leaves a key out."""
    keys = {"token": shows, "id": command_id, "issued_at": time.time(), **changes}
    return json.dumps({key: value for key, value in keys.items() if value is not None}).encode()
