"""The Sink that feeds health checks and figures with what happens on the train.

Knows queues. Knows nothing of what is made of an event.
"""

import asyncio

from edge_agent.console.health import Health
from edge_agent.metrics import TrainMetrics
from edge_agent.ports import EventSource


class Watch:
    """Folds each event where it is needed; never waits for anything but the next."""

    name = "metrics"

    def __init__(self, health: Health, metrics: TrainMetrics) -> None:
        self._health = health
        self._metrics = metrics

    async def run(self, events: EventSource) -> None:
        """Watch until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            event = await events.get()
            self._health.fold(event, clock())
            self._metrics.fold(event)
