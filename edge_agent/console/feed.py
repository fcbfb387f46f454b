"""The train's own events on their way into its console: sealed as they would be for a broker, pictures encoded once.

Knows events and envelopes. Knows nothing of viewers.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.console.app import ConsoleApp
from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.schemas import Links
from edge_agent.events import Event, Frame
from edge_agent.observers.cloudevents import EventContext, to_cloudevent
from edge_agent.observers.cloudevents.images import encode_jpeg, smaller_jpeg
from edge_agent.ports import EventSource

FACTS_S = 0.5
THUMBNAIL_PX = 300
"""Width of a picture in the overview."""


@dataclass(frozen=True, slots=True)
class TrainFacts:
    """What the train's events do not tell; called from the console's loop."""

    name: str
    links: Callable[[], Links]
    speed_mm_s: Callable[[], float | None]


class Feed:
    """A Sink that hands each event to the console."""

    name = "console"

    def __init__(self, site: ConsoleApp, train_id: str, facts: TrainFacts, *, quality_percent: int) -> None:
        self._site = site
        self._train_id = train_id
        self._facts = facts
        self._quality = quality_percent
        self._sequence = 0

    async def run(self, events: EventSource) -> None:
        """Feed until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._site.run())
            group.create_task(self._note())
            while True:
                await self.take(await events.get())

    async def take(self, event: Event) -> None:
        """Hand over one event; a picture is encoded in a thread meanwhile."""
        self._sequence += 1
        offset_s = time.time() - asyncio.get_running_loop().time()
        stamp = EventContext(self._train_id, self._sequence, offset_s)
        picture = None
        if isinstance(event, Frame):
            picture = await asyncio.to_thread(encode_jpeg, event.image, self._quality)
        self._site.hear(to_cloudevent(event, stamp, picture))

    async def _note(self) -> None:
        facts, site = self._facts, self._site
        while True:
            links, speed = facts.links(), facts.speed_mm_s()
            site.publish(site.store.note(self._train_id, site.now_ms(), name=facts.name, links=links, speed_mm_s=speed))
            await asyncio.sleep(FACTS_S)


def thumbnail(picture: StoredPicture) -> bytes:
    """Return a picture as it is shown in the overview; as it is where it cannot be decoded."""
    return smaller_jpeg(picture.data, THUMBNAIL_PX) or picture.data
