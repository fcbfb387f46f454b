"""One console: its store, its viewers, access to it, and on a train the feed of the train's own events.

The same on a train and for a fleet. Everything here runs in one event loop.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import HTTPConnection

from edge_agent import __version__
from edge_agent.config import ConsoleSettings
from edge_agent.console.access import Authenticator, origins
from edge_agent.console.broadcast import Broadcaster
from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.responses import ApiError
from edge_agent.console.schemas import Links, Trouble
from edge_agent.console.store import Change, TrainStore
from edge_agent.events import Event, Frame
from edge_agent.observers.cloudevents import Envelope, EventContext, to_cloudevent
from edge_agent.observers.cloudevents.images import encode_jpeg, smaller_jpeg
from edge_agent.ports import EventSource

Role = Literal["train", "fleet"]
AuthMethod = Literal["none", "token", "user"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server is, and how commands are authorized."""

    version: Annotated[str, Field(description="Version of the program.")]
    role: Annotated[Role, Field(description="`train`: on the train itself; `fleet`: many trains, over Kafka.")]
    commands: Annotated[
        AuthMethod,
        Field(description="`none`: read-only; `token`: needs the token; `user`: the proxy has logged in a user."),
    ]
    user: Annotated[str | None, Field(description="The user that the proxy has logged in.")]
    history_s: Annotated[int, Field(description="How long pictures are kept if the budget allows it.")]
    trouble: Annotated[Trouble | None, Field(description="Why no events arrive; null if all is well.")]


class ConsoleApp:
    """What a console's routes share; `accepts_commands` is set where there is a Commander.

    Args:
        role: on a train, or for a fleet.
        budget_bytes: for pictures.
        now_ms: the wall clock, in ms since 1970.
        make_thumbnail: returns a smaller encoding of a picture for the overview.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        role: Role,
        *,
        budget_bytes: int,
        now_ms: Callable[[], int] | None = None,
        make_thumbnail: Callable[[StoredPicture], bytes] | None = None,
    ) -> None:
        self.settings = settings
        self.role = role
        self.now_ms = now_ms or wall_ms
        self.store = TrainStore(budget_bytes, settings.history_s)
        self.broadcaster = Broadcaster(self.store, self.now_ms, make_thumbnail)
        self.origins = origins(settings.allowed_origins, host=settings.host)
        self.access = Authenticator(settings, self.origins, time.monotonic)
        self.accepts_commands = False
        self.trouble: Trouble | None = None

    def receive(self, envelope: Envelope) -> None:
        """Store an event and send what it changed to the viewers."""
        self.publish(self.store.fold(envelope, self.now_ms()))

    def publish(self, changes: list[Change]) -> None:
        """Send changes to the viewers."""
        self.broadcaster.publish(changes)

    def publish_trouble(self, trouble: Trouble | None) -> None:
        """Report why no events arrive, or (None) that they do again."""
        self.trouble = trouble
        self.broadcaster.send_trouble(trouble)

    async def run(self) -> None:
        """Publish what changes with time until cancelled."""
        await self.broadcaster.run()

    def check_origin(self, request: HTTPConnection) -> None:
        """Raise ApiError (421, 403) for a foreign host name, and for requests made by other web sites."""
        if not self.origins.is_own_host(request.headers.get("host")):
            remedy = "use its address, or add the name to console.allowed_origins, as https://host:port"
            raise ApiError(421, "the console does not answer to this host name", remedy)
        if not self.origins.may_read(request.headers):
            remedy = "open the console's own page, or see console.allowed_origins"
            raise ApiError(403, "the request comes from another web site", remedy)

    def check_capacity(self) -> None:
        """Raise ApiError (503) if the maximum number of viewers is connected."""
        limit = self.settings.max_viewers
        if len(self.broadcaster.subscribers) + len(self.broadcaster.streams) >= limit:
            remedy = "close another page, or raise console.max_viewers"
            raise ApiError(503, f"{limit} viewers are connected, which is the limit", remedy)

    def facts(self, request: HTTPConnection) -> Facts:
        """Return what this server is, for the sender of a request."""
        user = self.access.user(request)
        method: AuthMethod = "user" if user else "token" if self.access.accepts_token else "none"
        return Facts(
            __version__,
            self.role,
            method if self.accepts_commands else "none",
            user,
            self.settings.history_s,
            self.trouble,
        )


@dataclass(frozen=True, slots=True)
class TrainFacts:
    """What a train's events do not contain; the functions are called in the console's loop."""

    name: str
    links: Callable[[], Links]
    speed_mm_s: Callable[[], float | None]


class Feed:
    """A Sink that passes the train's own events to its console, as the CloudEvents that a broker would get."""

    name = "console"

    def __init__(self, app: ConsoleApp, train_id: str, facts: TrainFacts, *, quality_percent: int) -> None:
        self._app = app
        self._train_id = train_id
        self._facts = facts
        self._quality_percent = quality_percent
        self._sequence = 0

    async def run(self, events: EventSource) -> None:
        """Pass on events until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._app.run())
            group.create_task(self._poll_facts())
            while True:
                await self.publish(await events.get())

    async def publish(self, event: Event) -> None:
        """Pass on one event; a picture is encoded in a worker thread."""
        self._sequence += 1
        offset_s = time.time() - asyncio.get_running_loop().time()
        context = EventContext(self._train_id, self._sequence, offset_s)
        image = None
        if isinstance(event, Frame):
            image = await asyncio.to_thread(lambda: encode_jpeg(event.image, self._quality_percent))
        self._app.receive(to_cloudevent(event, context, image))

    async def _poll_facts(self) -> None:
        facts, app = self._facts, self._app
        while True:
            links, speed_mm_s = facts.links(), facts.speed_mm_s()
            now_ms, name = app.now_ms(), facts.name
            app.publish(app.store.update_facts(self._train_id, now_ms, name=name, links=links, speed_mm_s=speed_mm_s))
            await asyncio.sleep(0.5)


def thumbnail(picture: StoredPicture) -> bytes:
    """Return a picture scaled down for the overview; unchanged if it cannot be decoded."""
    # Width of a picture in the overview.
    return smaller_jpeg(picture.data, 300) or picture.data


def wall_ms() -> int:
    """Return the wall clock in ms since 1970."""
    return time.time_ns() // 1_000_000
