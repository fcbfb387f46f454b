"""The console on the train: what its page shows of a run, and what feeds it.

Knows which parts of a run the page needs. Knows nothing of the control path, which never waits for it.
"""

from collections.abc import Callable

from starlette.routing import BaseRoute

from edge_agent.agent.crew import Crew
from edge_agent.agent.observers import Mirrors
from edge_agent.config import Settings
from edge_agent.console.feed import Facts, Feed, small
from edge_agent.console.routes import console_routes
from edge_agent.console.site import Site
from edge_agent.console.views import Link, Links, OutboxLink
from edge_agent.metrics import MirrorFigures
from edge_agent.ports import Sink

HISTORY_MB = 64
"""What pictures may take on a train where the settings do not say."""


def build_page(settings: Settings, crew: Crew, mirrors: Mirrors) -> tuple[list[BaseRoute], Sink]:
    """Return the console's routes, and the sink that feeds it."""
    console = settings.console
    site = Site(console, "train", budget_bytes=(console.history_mb or HISTORY_MB) * 1_000_000, small=small)
    facts = Facts(settings.train.name, _links(mirrors), crew.parts.speed_mm_s)
    feed = Feed(site, settings.train.id, facts, quality_percent=console.jpeg_quality)
    return console_routes(site, None), feed


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
