"""Commands over HTTP: read, authorised, sent to the train, logged with who gave them.

access.py decides who may command, the train whether it obeys.
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
from edge_agent.observers.cloudevents.payloads import Moment

PATIENCE_S = 2.0
"""Time limit for the train's result; the train may still obey after it."""


class Commander(Protocol):
    """Brings commands to trains."""

    async def send(self, train_id: str, command: Command) -> CommandResult | None:
        """Send a command and return its result at the train; None where there was none within PATIENCE_S.

        Raises EdgeAgentError where it cannot be sent.
        """
        ...


_log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 4096
BODY_S = 5.0

Commandable = Literal[
    "drive", "stop", "emergency_stop", "arm", "disarm", "rearm", "capture_start", "capture_stop", "power"
]
VERBS = frozenset(verb.value for verb in Verb if verb is not Verb.IMAGE)


@dataclass(frozen=True, slots=True)
class CommandBody:
    """A command."""

    verb: Annotated[Commandable, Field(description="What the train shall do.")]
    id: Annotated[str, Field(max_length=128, description="An id of its own, a UUID for example.")]
    issued_at: Annotated[Moment, Field(description="When it was given; the train takes none older than 10 s.")]
    reason: Annotated[str | None, Field(max_length=200, description="Why; a re-arm needs one.")] = None
    power_percent: Annotated[int | None, Field(ge=1, le=100, description="With `power`.")] = None


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What became of a command."""

    answered: Annotated[bool, Field(description="The train has said something.")]
    accepted: Annotated[bool | None, Field(description="The train took it; null where it said nothing.")]
    state: Annotated[str | None, Field(description="The guard's state after it.")]
    reason: Annotated[str, Field(description="In words.")]
    ms: Annotated[float, Field(ge=0, description="From the command's arrival here to the answer.")]


@dataclass(frozen=True, slots=True)
class TrainAnswer:
    """What became of a command at one of the trains."""

    train_id: Annotated[str, Field(description="The train.")]
    answer: Annotated[CommandAnswer, Field(description="What became of the command there.")]


@dataclass(frozen=True, slots=True)
class TrainAnswers:
    """What became of a command to all trains."""

    answers: Annotated[tuple[TrainAnswer, ...], Field(description="One for each train that was heard of.")]


def command_routes(app: ConsoleApp, commander: Commander) -> list[BaseRoute]:
    """Return the routes by which trains are commanded: one of them, and all of them, which can only be stopped."""
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
        """Send one command to one train."""
        train_id = request.path_params["train_id"]
        async with self._log_refusal(request, train_id):
            command = await self._authorize(request)
            if self._app.store.train(train_id) is None:
                raise ApiError(404, "no train of this name was heard of", "take one of /api/trains")
        try:
            answer = await self._send(train_id, command, request)
        except EdgeAgentError as error:
            raise ApiError(503, error.message, error.remedy) from None
        return view(answer, 200 if answer.answered else 504)

    async def stop_all(self, request: Request) -> Response:
        """Send one command to all trains at once: none waits for another's result."""
        async with self._log_refusal(request, "all"):
            command = await self._authorize(request)
            if not command.stops:
                raise ApiError(400, "all trains at once can only be stopped", "send it to one train after the other")
        trains = [train.id for train in self._app.store.trains(self._app.now_ms())]

        async def send(train_id: str) -> TrainAnswer:
            try:
                own = replace(command, command_id=new_id())
                return TrainAnswer(train_id, await self._send(train_id, own, request))
            except EdgeAgentError as error:
                return TrainAnswer(train_id, CommandAnswer(False, None, None, error.message, 0.0))

        return view(TrainAnswers(tuple(await asyncio.gather(*map(send, trains)))))

    async def _send(self, train_id: str, command: Command, request: Request) -> CommandAnswer:
        """Send a command and return what became of it; raises EdgeAgentError where it cannot be sent."""
        begun_s = asyncio.get_running_loop().time()
        who, verb = command.sender, command.name
        try:
            result = await self._commander.send(train_id, command)
        except EdgeAgentError as error:
            _log.warning("command_not_sent", train=train_id, verb=verb, who=who, why=error.message)
            raise
        ms = round((asyncio.get_running_loop().time() - begun_s) * 1000, 1)
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
        """Log who was refused, and why."""
        try:
            yield
        except ApiError as refusal:
            client = self._app.access.client(request)
            _log.warning("command_refused", train=train, client=client, status=refusal.status_code, why=refusal.detail)
            raise

    async def _authorize(self, request: Request) -> Command:
        """Read and return a command of somebody who may command; raises ApiError."""
        app = self._app
        app.check_origin(request)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise ApiError(415, "a command has to be JSON", "send Content-Type: application/json")
        body = await _body(request)
        caller = app.access.authorise(request, await asyncio.to_thread(app.access.token))
        command = _parse(body, caller)
        if not command.stops:
            app.access.check_rate(request)
        return command


async def _body(request: Request) -> bytes:
    """Read the body, which has to be short and to come soon."""
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > MAX_BODY_BYTES:
                    raise ApiError(413, f"a command has at most {MAX_BODY_BYTES} bytes", "send a shorter one")
    except TimeoutError:
        raise ApiError(408, "the command did not come", "send it at once") from None
    return bytes(chunks)


def _parse(body: bytes, caller: Caller) -> Command:
    document = read_document(body)
    if document is None:
        raise ApiError(400, "the command is no JSON", "see /api/openapi.json for what it has to look like")
    verb = document.get("verb")
    if not isinstance(verb, str) or verb not in VERBS:
        raise ApiError(400, "the command has no verb that is known", f"verb is one of {', '.join(sorted(VERBS))}")
    token = caller.token.get_secret_value() if caller.token else None
    message = CommandMessage(
        Channel.CONSOLE, verb, document, token=token, vouched=caller.is_vouched_for, sender=caller.name
    )
    return parse_command(message)


def _answer(result: CommandResult | None, ms: float) -> CommandAnswer:
    if result is None:
        why = f"not acknowledged within {PATIENCE_S:g} s: the train may be out of reach; it may still obey"
        return CommandAnswer(False, None, None, why, ms)
    return CommandAnswer(True, result.accepted, result.state, result.reason, ms)
