"""Shorter grace for faults, for tests that do not wait."""

import contextlib
from collections.abc import Iterator

from edge_agent.faults import FaultKind


@contextlib.contextmanager
def grace(seconds: float, *kinds: FaultKind) -> Iterator[None]:
    """Report faults of these kinds when they have lasted for `seconds`."""
    before = [kind.grace_s for kind in kinds]
    for kind in kinds:
        object.__setattr__(kind, "grace_s", seconds)
    try:
        yield
    finally:
        for kind, grace_s in zip(kinds, before, strict=True):
            object.__setattr__(kind, "grace_s", grace_s)
