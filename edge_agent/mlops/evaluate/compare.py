"""Whether a new detector is better than an old one, given how few pictures there are.

Knows paired bootstraps. Knows nothing of detectors or files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.mlops.evaluate.matching import Matches, ap_table, bootstrap, mean_ap


@dataclass(frozen=True, slots=True)
class Comparison:
    """AP50 and AP50-95 of both, the gains with 95 percent intervals, and a verdict: better, worse or undecided.

    The verdict is about AP50: `better` or `worse` only where its interval leaves zero out.
    """

    old_ap50: float
    new_ap50: float
    ap50_gain: float
    ap50_interval: tuple[float, float]
    old_ap: float
    new_ap: float
    ap_gain: float
    ap_interval: tuple[float, float]
    verdict: str

    def sentence(self) -> str:
        """Tell it to a person."""
        low, high = self.ap50_interval
        told = {
            "better": "the new detector is better",
            "worse": "the new detector is worse",
            "undecided": "too few pictures to tell them apart",
        }[self.verdict]
        return (
            f"{told}: AP50 {self.old_ap50:.3f} -> {self.new_ap50:.3f} "
            f"({self.ap50_gain:+.3f}, 95% interval {low:+.3f} to {high:+.3f}), AP50-95 {self.ap_gain:+.3f}"
        )


def compare(old: Sequence[Matches], new: Sequence[Matches], *, draws: int = 1000, seed: int = 0) -> Comparison:
    """Compare two detectors on the same pictures: each draw takes the same pictures for both."""
    gains = bootstrap(new, draws=draws, seed=seed) - bootstrap(old, draws=draws, seed=seed)
    low, high = np.nanpercentile(gains, [2.5, 97.5], axis=0)
    old_ap50, old_ap = mean_ap(ap_table(old))
    new_ap50, new_ap = mean_ap(ap_table(new))
    verdict = "better" if low[0] > 0 else "worse" if high[0] < 0 else "undecided"
    return Comparison(
        old_ap50=old_ap50,
        new_ap50=new_ap50,
        ap50_gain=new_ap50 - old_ap50,
        ap50_interval=(float(low[0]), float(high[0])),
        old_ap=old_ap,
        new_ap=new_ap,
        ap_gain=new_ap - old_ap,
        ap_interval=(float(low[1]), float(high[1])),
        verdict=verdict,
    )
