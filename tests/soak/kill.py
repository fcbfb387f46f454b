"""SIGKILL at random moments: no committed event may be lost on its way to Kafka, and the sequence must be kept.

`python -m tests.soak.kill --kills 200`
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.support.kafka_brokers import Consumed, Tansu


@dataclass(frozen=True)
class Outcome:
    """Result of a trial. `lost` must be empty, `disordered` 0."""

    kills: int
    committed: int
    arrived: int
    duplicates: int
    lost: tuple[int, ...]
    disordered: int


def one_life(path: Path, address: str, first: int, life_s: float) -> int:
    """Run the child from number `first`, kill it, and return the first number that was not committed."""
    command = [sys.executable, "-m", "tests.soak.kill_child", str(path), address, str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]  # it is running from here on
        time.sleep(life_s)
        child.kill()
        lines += child.stdout.readlines()
    whole = [int(line) for line in lines if line.endswith(b"\n")]
    return max(whole) if whole else first


def trial(folder: Path, kills: int, seed: int, longest_s: float = 0.4) -> Outcome:
    """Kill the child `kills` times, send the rest with the last one, and compare."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    path = folder / "outbox.db"
    starts: list[tuple[int, int]] = []
    first = 0
    with Tansu(folder / "tansu.log") as broker, Consumed(broker.address, "kill") as consumed:
        for _ in range(kills):
            end = one_life(path, broker.address, first, rng.uniform(0, longest_s))
            starts.append((first, end))
            first = end + 1_000_000 - end % 1_000_000  # numbers of different runs must not overlap
        command = [sys.executable, "-m", "tests.soak.kill_child", str(path), broker.address, "-1"]
        subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
        numbers = _settle(consumed)
    firsts = list(dict.fromkeys(numbers))
    committed = [number for start, end in starts for number in range(start, end)]
    return Outcome(
        kills=kills,
        committed=len(committed),
        arrived=len(firsts),
        duplicates=len(numbers) - len(firsts),
        lost=tuple(sorted(set(committed) - set(firsts))),
        disordered=sum(later < earlier for earlier, later in pairwise(firsts)),
    )


def _settle(consumed: Consumed) -> list[int]:
    """Return the numbers consumed, once no more arrive."""
    seen = -1
    while seen != len(consumed.messages):
        seen = len(consumed.messages)
        time.sleep(1.0)
    return [int(message.value()) for message in consumed.messages]


def main() -> None:
    """Run and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.monotonic()
        outcome = trial(Path(folder), options.kills, options.seed)
        took_s = time.monotonic() - begun_s
    print(f"{outcome} in {took_s:.0f} s")
    sys.exit(1 if outcome.lost or outcome.disordered else 0)


if __name__ == "__main__":
    main()
