"""Loads code that a train drives without, once it drives.

Knows when that is. Knows nothing of what is loaded. Importing is Python's own work, which two threads cannot share:
before the first command it would delay that one by as much as it takes.
"""

import asyncio
import gc
import importlib

from edge_agent.agent.crew import Crew
from edge_agent.flow import pace

LATEST_S = 0.5
"""The code is loaded after this time at the latest: somebody may have to arm the train by the page."""

_LOOK_S = 0.02


async def load_when_driving(crew: Crew, module: str) -> None:
    """Load a module as soon as the train drives, or after half a second; then it may be imported at no cost."""
    latest_s = crew.clock() + LATEST_S
    async for _ in pace(_LOOK_S, crew.clock):
        if crew.control.permit.power_percent is not None or crew.clock() >= latest_s:
            break
    await asyncio.to_thread(_load, module)


def _load(module: str) -> None:
    """Load in a thread, for the loop is the train's. What is loaded stays: the collector may pass it by."""
    importlib.import_module(module)
    gc.freeze()
