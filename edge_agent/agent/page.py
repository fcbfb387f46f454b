"""The console on the train: what its page shows of a run, and what feeds it.

Knows which parts of a run the page needs. Knows nothing of the control path, which never waits for it.
"""

import asyncio
from collections.abc import Callable

from starlette.routing import BaseRoute

from edge_agent.agent.apart import Crossing
from edge_agent.agent.crew import Crew
from edge_agent.agent.observers import Mirrors
from edge_agent.commands import Desk, Refused
from edge_agent.config import Settings
from edge_agent.console.commander import PATIENCE_S, Order, Reply
from edge_agent.console.feed import Facts, Feed, small
from edge_agent.console.routes import console_routes
from edge_agent.console.site import Site
from edge_agent.console.views import Link, Links, OutboxLink
from edge_agent.metrics import MirrorFigures

HISTORY_MB = 64
"""What pictures may take on a train where the settings do not say."""


class Page:
    """The console of one train: `routes` to serve, `feed` to run beside them in the same loop.

    `sink` carries the train's events there, from the train's loop.
    """

    def __init__(self, settings: Settings, crew: Crew, mirrors: Mirrors, desk: Desk) -> None:
        self.sink = Crossing()
        console = settings.console
        site = Site(console, "train", budget_bytes=(console.history_mb or HISTORY_MB) * 1_000_000, small=small)
        facts = Facts(settings.train.name, _links(mirrors), crew.parts.speed_mm_s)
        self._feed = Feed(site, settings.train.id, facts, quality_percent=console.jpeg_quality)
        self.routes: list[BaseRoute] = console_routes(site, Helmsman(desk))

    async def feed(self) -> None:
        """Feed the console until cancelled."""
        await self._feed.run(self.sink)


class Helmsman:
    """Brings commands from the console's loop to the train's; made in the train's.

    Whoever commands has shown the console's token, or is vouched for: the desk asks for nothing else.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loop = asyncio.get_running_loop()

    async def send(self, order: Order) -> Reply | None:
        """Have the train judge and obey; None where its loop does not answer in time."""
        took = self._desk.take(order.verb, order.request, order.who)
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(took, self._loop))
        done, _ = await asyncio.wait({future}, timeout=PATIENCE_S)
        if not done:
            return None
        verdict = future.result()
        if isinstance(verdict, Refused):
            return Reply(False, None, verdict.reason)
        return Reply(verdict.accepted, verdict.state, verdict.reason)


def _links(mirrors: Mirrors) -> Callable[[], Links]:
    """Tell how the mirrors and the outbox are; from any thread."""

    def links() -> Links:
        found = {name: _link(figures) for name, figures in mirrors.figures().items()}
        outbox = mirrors.outbox() if mirrors.outbox is not None else None
        held = OutboxLink(sum(outbox.rows.values()), sum(outbox.stored_bytes.values())) if outbox else None
        return Links(None, found.get("mqtt"), found.get("kafka"), held)

    return links


def _link(figures: MirrorFigures) -> Link:
    words = "connected" if figures.connected else f"not connected, {figures.failures} attempts failed"
    return Link(figures.connected, words)
