"""What an agent in a process of its own told of itself.

Knows the lines of `child.py`. Knows nothing of processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_agent.bench import stats


@dataclass(frozen=True, slots=True)
class Told:
    """What an agent in a process of its own told: a line a second, and its report of latencies."""

    lines: tuple[dict[str, Any], ...]
    latency_ms: Mapping[str, float | None]

    def column(self, key: str) -> stats.Block:
        """Return one figure of all lines."""
        return np.array([line[key] for line in self.lines], np.float64)
