"""Where the sources of figures come together, for one run; nothing is global.

Knows Prometheus's formats. Knows nothing of HTTP.
"""

from collections.abc import Callable, Iterable, Iterator

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

_log = structlog.get_logger(__name__)

Source = Callable[[], Iterable[Metric]]
"""Gives figures; called in the thread that renders them."""


class Registry:
    """Collects the figures of every source that was added."""

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def add(self, source: Source) -> None:
        """Collect from `source` too."""
        self._sources.append(source)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of all sources; one that fails is left out and told in the log."""
        for source in self._sources:
            try:
                yield from list(source())
            except Exception:  # noqa: BLE001 - the other figures are needed all the more then
                _log.exception("a source of metrics has failed")

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the figures as text and its content type, as a scraper's `accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
