"""Commands over HTTP: authorized, parsed, sent to the train, and logged with their sender.

`access` decides who may send commands, the train whether it carries them out.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol

import structlog
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.console.access import Caller
from edge_agent.console.app import ConsoleApp
from edge_agent.console.responses import ApiError, view
from edge_agent.control.commands import Channel, Command, CommandMessage, Verb, parse_command, read_document
from edge_agent.errors import EdgeAgentError
from edge_agent.events import CommandResult, new_id
from edge_agent.observers.cloudevents.payloads import Timestamp

RESULT_TIMEOUT_S = 2.0
"""Time limit for the train's result; the train may still carry out the command after it."""


class Commander(Protocol):
    """Sends commands to trains."""

    async def send(self, train_id: str, command: Command) -> CommandResult | None:
        """Send a command and return the train's result; None if there is none within RESULT_TIMEOUT_S.

        Raises EdgeAgentError if it cannot be sent.
        """
        ...


_log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 4096

Commandable = Literal[
    "drive", "stop", "emergency_stop", "arm", "disarm", "rearm", "capture_start", "capture_stop", "power"
]
VERBS = frozenset(verb.value for verb in Verb if verb is not Verb.IMAGE)


@dataclass(frozen=True, slots=True)
class CommandBody:
    """A command."""

    verb: Annotated[Commandable, Field(description="What the train should do.")]
    id: Annotated[str, Field(max_length=128, description="Unique id, e.g. a UUID.")]
    issued_at: Annotated[Timestamp, Field(description="When it was issued; commands older than 10 s are refused.")]
    reason: Annotated[str | None, Field(max_length=200, description="Reason; required for `rearm`.")] = None
    power_percent: Annotated[int | None, Field(ge=1, le=100, description="Required for `power`.")] = None


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """The result of a command."""

    answered: Annotated[bool, Field(description="Whether the train answered.")]
    accepted: Annotated[bool | None, Field(description="Whether the train carries it out; null without an answer.")]
    state: Annotated[str | None, Field(description="State of the guard after it.")]
    reason: Annotated[str, Field(description="Why it was refused, or the guard's reason.")]
    ms: Annotated[
        float, Field(ge=0, description="Time from the command's arrival at the console to the answer, in ms.")
    ]


@dataclass(frozen=True, slots=True)
class TrainAnswer:
    """The result of a command at one train."""

    train_id: Annotated[str, Field(description="Id of the train.")]
    answer: Annotated[CommandAnswer, Field(description="Result at this train.")]


@dataclass(frozen=True, slots=True)
class TrainAnswers:
    """The results of a command to all trains."""

    answers: Annotated[tuple[TrainAnswer, ...], Field(description="One per known train.")]


def command_routes(app: ConsoleApp, commander: Commander) -> list[BaseRoute]:
    """Return the routes for commands: to one train, and to all trains, which can only be stopped."""
    endpoints = _CommandEndpoints(app, commander)
    return [
        Route("/api/trains/{train_id}/commands", endpoints.command, methods=["POST"]),
        Route("/api/commands", endpoints.stop_all, methods=["POST"]),
    ]


class _CommandEndpoints:
    def __init__(self, app: ConsoleApp, commander: Commander) -> None:
        self._app = app
        self._commander = commander

    async def command(self, request: Request) -> Response:
        train_id = request.path_params["train_id"]
        async with self._log_refusal(request, train_id):
            command = await self._authorize(request)
            if self._app.store.train(train_id) is None:
                raise ApiError(404, "there is no train of this name", "pick one of /api/trains")
        try:
            answer = await self._send(train_id, command, request)
        except EdgeAgentError as error:
            raise ApiError(503, error.message, error.remedy) from None
        return view(answer, 200 if answer.answered else 504)

    async def stop_all(self, request: Request) -> Response:
        """Send a command to all trains at once; no train waits for the result of another."""
        async with self._log_refusal(request, "all"):
            command = await self._authorize(request)
            if not command.stops:
                raise ApiError(400, "all trains at once can only be stopped", "send the command to each train")
        trains = [train.id for train in self._app.store.trains(self._app.now_ms())]

        async def send(train_id: str) -> TrainAnswer:
            try:
                own = replace(command, command_id=new_id())
                return TrainAnswer(train_id, await self._send(train_id, own, request))
            except EdgeAgentError as error:
                return TrainAnswer(train_id, CommandAnswer(False, None, None, error.message, 0.0))

        return view(TrainAnswers(tuple(await asyncio.gather(*map(send, trains)))))

    async def _send(self, train_id: str, command: Command, request: Request) -> CommandAnswer:
        """Send a command and return its result; raises EdgeAgentError if it cannot be sent."""
        started_s = asyncio.get_running_loop().time()
        who, verb = command.sender, command.name
        try:
            result = await self._commander.send(train_id, command)
        except EdgeAgentError as error:
            _log.warning("command_not_sent", train=train_id, verb=verb, who=who, why=error.message)
            raise
        ms = round((asyncio.get_running_loop().time() - started_s) * 1000, 1)
        _log.info(
            "command",
            train=train_id,
            verb=verb,
            who=who,
            client=self._app.access.client(request),
            answered=result is not None,
            accepted=result.accepted if result else None,
            reason=result.reason if result else None,
            ms=ms,
        )
        return _answer(result, ms)

    @contextlib.asynccontextmanager
    async def _log_refusal(self, request: Request, train: str) -> AsyncIterator[None]:
        """Log a refused command with its client and the reason."""
        try:
            yield
        except ApiError as refusal:
            client = self._app.access.client(request)
            _log.warning("command_refused", train=train, client=client, status=refusal.status_code, why=refusal.detail)
            raise

    async def _authorize(self, request: Request) -> Command:
        """Read and return a command whose sender may send it; raises ApiError."""
        app = self._app
        app.check_origin(request)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise ApiError(415, "a command has to be JSON", "send Content-Type: application/json")
        body = await _body(request)
        caller = app.access.authorise(request, await asyncio.to_thread(app.access.token))
        command = _parse(body, caller)
        if not command.stops:
            app.access.check_rate(request)
        return command


async def _body(request: Request) -> bytes:
    """Read the body; raises ApiError if it is too large or too slow."""
    chunks = bytearray()
    try:
        async with asyncio.timeout(5.0):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > MAX_BODY_BYTES:
                    raise ApiError(413, f"a command has at most {MAX_BODY_BYTES} bytes", "shorten it")
    except TimeoutError:
        raise ApiError(408, "the body of the command did not arrive in time", "send it again") from None
    return bytes(chunks)


def _parse(body: bytes, caller: Caller) -> Command:
    document = read_document(body)
    if document is None:
        raise ApiError(400, "the command is not valid JSON", "see /api/openapi.json for the expected format")
    verb = document.get("verb")
    if not isinstance(verb, str) or verb not in VERBS:
        remedy = f"use one of {', '.join(sorted(VERBS))}"
        raise ApiError(400, "the verb of the command is missing or unknown", remedy)
    token = caller.token.get_secret_value() if caller.token else None
    message = CommandMessage(
        Channel.CONSOLE, verb, document, token=token, vouched=caller.is_vouched_for, sender=caller.name
    )
    return parse_command(message)


def _answer(result: CommandResult | None, ms: float) -> CommandAnswer:
    if result is None:
        why = (
            f"not acknowledged within {RESULT_TIMEOUT_S:g} s: the train may be out of reach; it may still carry it out"
        )
        return CommandAnswer(False, None, None, why, ms)
    return CommandAnswer(True, result.accepted, result.state, result.reason, ms)
