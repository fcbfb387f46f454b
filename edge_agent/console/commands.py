"""Commands over HTTP: read, authorised, sent to the train, logged with who gave them.

Knows HTTP. Who may command is judged by access.py, whether the train obeys by the train.
"""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import structlog
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.console.access import Caller
from edge_agent.console.app import ConsoleApp
from edge_agent.console.responses import ApiError, view
from edge_agent.control.commands import STOPPING, CommandRequest, Refused, Verb, parse_command
from edge_agent.errors import EdgeAgentError
from edge_agent.events import new_id
from edge_agent.observers.cloudevents.payloads import Moment

PATIENCE_S = 2.0
"""A command that was not acknowledged within this time is told as that; it may still be carried out."""


@dataclass(frozen=True, slots=True)
class OutgoingCommand:
    """A command on its way; `who` gave it."""

    train_id: str
    verb: str
    request: CommandRequest | Refused
    who: str


@dataclass(frozen=True, slots=True)
class CommandReply:
    """What the train said; `state` is the guard's after an accepted command."""

    accepted: bool
    state: str | None
    reason: str


class Commander(Protocol):
    """Brings commands to trains."""

    async def send(self, order: OutgoingCommand) -> CommandReply | None:
        """Send a command and return the train's reply; None where there was none within PATIENCE_S.

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


def command_routes(site: ConsoleApp, commander: Commander) -> list[BaseRoute]:
    """Return the routes by which trains are commanded: one of them, and all of them, which can only be stopped."""
    desk = _CommandEndpoints(site, commander)
    return [
        Route("/api/trains/{train_id}/commands", desk.command, methods=["POST"]),
        Route("/api/commands", desk.stop_all, methods=["POST"]),
    ]


class _CommandEndpoints:
    def __init__(self, site: ConsoleApp, commander: Commander) -> None:
        self._site = site
        self._commander = commander

    async def command(self, request: Request) -> Response:
        """Take one command to one train."""
        train_id = request.path_params["train_id"]
        async with self._telling(request, train_id):
            caller, body, document = await self._admitted(request)
            if self._site.store.train(train_id) is None:
                raise ApiError(404, "no train of this name was heard of", "take one of /api/trains")
        try:
            answer = await self._carry(_order(train_id, document["verb"], body, caller), request)
        except EdgeAgentError as error:
            raise ApiError(503, error.message, error.remedy) from None
        return view(answer, 200 if answer.answered else 504)

    async def stop_all(self, request: Request) -> Response:
        """Take one command to all trains at once: none waits for another's answer."""
        async with self._telling(request, "all"):
            caller, _, document = await self._admitted(request)
            if document["verb"] not in STOPPING:
                raise ApiError(400, "all trains at once can only be stopped", "send it to one train after the other")
        trains = [train.id for train in self._site.store.trains(self._site.now_ms())]

        async def carry(train_id: str) -> TrainAnswer:
            body = json.dumps(document | {"id": new_id()}, ensure_ascii=False).encode(errors="replace")
            try:
                order = _order(train_id, document["verb"], body, caller)
                return TrainAnswer(train_id, await self._carry(order, request))
            except EdgeAgentError as error:
                return TrainAnswer(train_id, CommandAnswer(False, None, None, error.message, 0.0))

        return view(TrainAnswers(tuple(await asyncio.gather(*map(carry, trains)))))

    async def _carry(self, order: OutgoingCommand, request: Request) -> CommandAnswer:
        """Send an order and tell what became of it; raises EdgeAgentError where it cannot be sent."""
        begun_s = asyncio.get_running_loop().time()
        try:
            reply = await self._commander.send(order)
        except EdgeAgentError as error:
            _log.warning("command_not_sent", train=order.train_id, verb=order.verb, who=order.who, why=error.message)
            raise
        ms = round((asyncio.get_running_loop().time() - begun_s) * 1000, 1)
        _log.info(
            "command",
            train=order.train_id,
            verb=order.verb,
            who=order.who,
            client=self._site.access.client(request),
            answered=reply is not None,
            accepted=reply.accepted if reply else None,
            reason=reply.reason if reply else None,
            ms=ms,
        )
        return _answer(reply, ms)

    @contextlib.asynccontextmanager
    async def _telling(self, request: Request, train: str) -> AsyncIterator[None]:
        """Log who was refused, and why."""
        try:
            yield
        except ApiError as refusal:
            client = self._site.access.client(request)
            _log.warning("command_refused", train=train, client=client, status=refusal.status_code, why=refusal.detail)
            raise

    async def _admitted(self, request: Request) -> tuple[Caller, bytes, dict[str, Any]]:
        """Return who commands and what; raises Refusal."""
        site = self._site
        site.check_origin(request)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise ApiError(415, "a command has to be JSON", "send Content-Type: application/json")
        body = await _body(request)
        caller = site.access.authorise(request, await asyncio.to_thread(site.access.token))
        document = _document(body)
        if document["verb"] not in STOPPING:
            site.access.check_rate(request)
        return caller, body, document


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


def _document(body: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "the command is no JSON", "see /api/openapi.json for what it has to look like") from None
    verb = document.get("verb") if isinstance(document, dict) else None
    if not isinstance(verb, str) or verb not in VERBS:
        raise ApiError(400, "the command has no verb that is known", f"verb is one of {', '.join(sorted(VERBS))}")
    return document


def _order(train_id: str, verb: str, body: bytes, caller: Caller) -> OutgoingCommand:
    request = parse_command(verb, body)
    if isinstance(request, CommandRequest):
        token = caller.token.get_secret_value() if caller.token else None
        request = dataclasses.replace(request, token=token, vouched=caller.is_vouched_for)
    return OutgoingCommand(train_id, verb, request, caller.name)


def _answer(reply: CommandReply | None, ms: float) -> CommandAnswer:
    if reply is None:
        why = f"not acknowledged within {PATIENCE_S:g} s: the train may be out of reach; it may still obey"
        return CommandAnswer(False, None, None, why, ms)
    return CommandAnswer(True, reply.accepted, reply.state, reply.reason, ms)
