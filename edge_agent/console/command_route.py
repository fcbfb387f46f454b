"""Commands over HTTP: read, authorised, sent to the train, logged with who gave them.

Knows HTTP. Who may command is judged by access.py, whether the train obeys by the train.
"""

import asyncio
import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import structlog
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.commands import STOPPING, Verb, read
from edge_agent.commands import Request as CommandRequest
from edge_agent.console.access import Caller
from edge_agent.console.answers import Refusal, view
from edge_agent.console.commander import PATIENCE_S, Commander, Order, Reply
from edge_agent.console.site import Site
from edge_agent.errors import EdgeAgentError
from edge_agent.wire.payloads import Moment

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


def command_routes(site: Site, commander: Commander) -> list[BaseRoute]:
    """Return the route by which trains are commanded."""
    desk = _Counter(site, commander)
    return [Route("/api/trains/{train_id}/commands", desk.command, methods=["POST"])]


class _Counter:
    def __init__(self, site: Site, commander: Commander) -> None:
        self._site = site
        self._commander = commander

    async def command(self, request: Request) -> Response:
        """Take one command."""
        site, train_id = self._site, request.path_params["train_id"]
        try:
            caller, body, document = await self._admitted(request)
        except Refusal as refusal:
            client = site.access.client(request)
            _log.warning(
                "command_refused", train=train_id, client=client, status=refusal.status_code, why=refusal.detail
            )
            raise
        order = _order(train_id, body, document, caller)
        begun_s = asyncio.get_running_loop().time()
        try:
            reply = await self._commander.send(order)
        except EdgeAgentError as error:
            _log.warning("command_not_sent", train=train_id, verb=order.verb, who=order.who, why=error.message)
            raise Refusal(503, error.message, error.remedy) from None
        ms = round((asyncio.get_running_loop().time() - begun_s) * 1000, 1)
        _log.info(
            "command",
            train=train_id,
            verb=order.verb,
            who=order.who,
            client=site.access.client(request),
            answered=reply is not None,
            accepted=reply.accepted if reply else None,
            reason=reply.reason if reply else None,
            ms=ms,
        )
        return _answer(reply, ms)

    async def _admitted(self, request: Request) -> tuple[Caller, bytes, dict[str, Any]]:
        """Return who commands and what; raises Refusal."""
        site = self._site
        site.admit(request)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise Refusal(415, "a command has to be JSON", "send Content-Type: application/json")
        body = await _body(request)
        caller = site.access.authorise(request, await asyncio.to_thread(site.access.token))
        document = _document(body)
        if document["verb"] not in STOPPING:
            site.access.pace(request)
        if site.store.book(request.path_params["train_id"]) is None:
            raise Refusal(404, "no train of this name was heard of", "take one of /api/trains")
        return caller, body, document


async def _body(request: Request) -> bytes:
    """Read the body, which has to be short and to come soon."""
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > MAX_BODY_BYTES:
                    raise Refusal(413, f"a command has at most {MAX_BODY_BYTES} bytes", "send a shorter one")
    except TimeoutError:
        raise Refusal(408, "the command did not come", "send it at once") from None
    return bytes(chunks)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the command is no JSON", "see /api/openapi.json for what it has to look like") from None
    verb = document.get("verb") if isinstance(document, dict) else None
    if not isinstance(verb, str) or verb not in VERBS:
        raise Refusal(400, "the command has no verb that is known", f"verb is one of {', '.join(sorted(VERBS))}")
    return document


def _order(train_id: str, body: bytes, document: dict[str, Any], caller: Caller) -> Order:
    request = read(document["verb"], body)
    if isinstance(request, CommandRequest):
        token = caller.token.get_secret_value() if caller.token else None
        request = dataclasses.replace(request, token=token, vouched=caller.vouched)
    return Order(train_id, document["verb"], request, caller.name, body)


def _answer(reply: Reply | None, ms: float) -> Response:
    if reply is None:
        why = f"not acknowledged within {PATIENCE_S:g} s: the train may be out of reach; it may still obey"
        return view(CommandAnswer(False, None, None, why, ms), 504)
    return view(CommandAnswer(True, reply.accepted, reply.state, reply.reason, ms))
