"""One console: its store, its viewers, and who is admitted. The same on a train and for a whole fleet.

Knows how the parts fit together. Knows nothing of where envelopes come from. Everything here lives in one event loop.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import HTTPConnection

from edge_agent import __version__
from edge_agent.config import ConsoleSettings
from edge_agent.console import messages
from edge_agent.console.access import Authenticator, origins
from edge_agent.console.broadcast import Broadcaster
from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.responses import ApiError
from edge_agent.console.schemas import Trouble
from edge_agent.console.store import Change, TrainStore
from edge_agent.observers.cloudevents import Envelope

Role = Literal["train", "fleet"]
AuthMethod = Literal["none", "token", "user"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server is, and how one may command."""

    version: Annotated[str, Field(description="Of the program.")]
    role: Annotated[Role, Field(description="`train`: on the train itself; `fleet`: many trains, over Kafka.")]
    commands: Annotated[
        AuthMethod,
        Field(description="`none`: nobody may; `token`: with the token; `user`: whom the proxy has logged in."),
    ]
    user: Annotated[str | None, Field(description="Whom the proxy has logged in.")]
    history_s: Annotated[int, Field(description="How long pictures are kept where there is room.")]
    trouble: Annotated[Trouble | None, Field(description="Why nothing is heard of any train; null where all is well.")]


class ConsoleApp:
    """What a console's routes share; `commanded` is set where there is a way to command.

    Args:
        settings: of the console.
        role: on a train, or for a fleet.
        budget_bytes: for pictures.
        now_ms: the wall clock, in ms since 1970.
        small: makes a small picture for the overview.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        role: Role,
        *,
        budget_bytes: int,
        now_ms: Callable[[], int] | None = None,
        small: Callable[[StoredPicture], bytes] | None = None,
    ) -> None:
        self.settings = settings
        self.role = role
        self.now_ms = now_ms or wall_ms
        self.store = TrainStore(budget_bytes, settings.history_s)
        self.live = Broadcaster(self.store, self.now_ms, small)
        self.origins = origins(settings.allowed_origins, host=settings.host)
        self.access = Authenticator(settings, self.origins, time.monotonic)
        self.commanded = False
        self.trouble: Trouble | None = None

    def hear(self, envelope: Envelope) -> None:
        """Take in an envelope and tell those who watch."""
        self.publish(self.store.fold(envelope, self.now_ms()))

    def publish(self, changes: list[Change]) -> None:
        """Tell changes to those who watch."""
        self.live.publish(changes)

    def tell_trouble(self, trouble: Trouble | None) -> None:
        """Tell why nothing is heard, or that it is over."""
        self.trouble = trouble
        self.live.tell_all(messages.trouble(trouble))

    async def run(self) -> None:
        """Let time pass, until cancelled."""
        await self.live.run()

    def admit(self, request: HTTPConnection) -> None:
        """Raise Refusal where a web site that is not ours would read what a train sees."""
        if not self.origins.host_is_ours(request.headers.get("host")):
            remedy = "use its address, or add the name to console.allowed_origins, as https://host:port"
            raise ApiError(421, "the console does not know the name that it was called by", remedy)
        if not self.origins.may_look(request.headers):
            raise ApiError(403, "another web site has asked", "open the console's own page, or see allowed_origins")

    def room(self) -> None:
        """Raise Refusal where as many look as may."""
        limit = self.settings.max_viewers
        if len(self.live.guests) + len(self.live.taps) >= limit:
            raise ApiError(503, f"{limit} viewers look already", "close another page, or raise console.max_viewers")

    def facts(self, request: HTTPConnection) -> Facts:
        """Say what this server is to who asks."""
        user = self.access.user(request)
        how: AuthMethod = "user" if user else "token" if self.access.takes_token else "none"
        return Facts(
            __version__, self.role, how if self.commanded else "none", user, self.settings.history_s, self.trouble
        )


def wall_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
