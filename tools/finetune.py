"""Train the shipped detector further on the newest synthetic pictures, and compare it with the shipped one.

Usage: `python -m tools.finetune --out DIR [--images DIR --annotations FILE] [--approaches DIR]`. Everything is written
below the folder; a step whose result is there is not done again. The defaults are for a GPU and 16 cores, where they
are meant to take under 10 minutes; on two cores give `--count 2400 --samples 20000` an hour and a half.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SHIPPED = Path("engines/signs.onnx")
SHARES = {"rooms": 0.06, "crowds": 0.5, "signs": 0.44}
"""How often each set is sampled: simulated rooms, crowds of what resembles signs, ordinary scenes."""
RATE = 3e-4
"""A seventh of the first training's: what the detector knows is kept."""


def commands(out: Path, count: int, samples: int, seed: int) -> list[tuple[Path, list[str]]]:
    """Return the steps, each with the file that it writes last."""
    data, run = out / "data", out / "run"
    synth = ["edge_agent", "dataset", "synth", "--count", str(count)]
    start = ["--resume"] if (run / "last.pt").is_file() else ["--init", str(SHIPPED)]
    train = ["edge_agent", "train", *start, "--rate", str(RATE), "--samples", str(samples)]
    for name in SHARES:
        train += ["--data", str(data / name)]
    train += ["--shares", ",".join(map(str, SHARES.values())), "--seed", str(seed), "--out", str(run)]
    rooms = ["tools.room_pictures", "--count", str(max(1, count // 12)), "--seed", str(5000 + seed)]
    crowds = [*synth, "--seed", str(seed), "--negatives", "0.45", "--clutter", "0.9"]
    return [
        (data / "rooms" / "synth.json", [*rooms, "--out", str(data / "rooms")]),
        (data / "crowds" / "synth.json", [*crowds, "--out", str(data / "crowds")]),
        (data / "signs" / "synth.json", [*synth, "--seed", str(seed + 1), "--out", str(data / "signs")]),
        (run / "signs.json", train),
        (run / "signs-uint8.json", ["edge_agent.mlops.quantise", str(run / "signs.onnx")]),
    ]


def comparisons(new: Path, images: Path | None, annotations: Path | None, approaches: Path | None) -> list[list[str]]:
    """Return the commands that compare the new detector with the shipped one."""
    both = ["--compare", str(SHIPPED), str(new)]
    found = []
    if images and annotations:
        given = ["--images", str(images), "--annotations", str(annotations)]
        found.append(["edge_agent", "evaluate", *given, *both])
    if approaches:
        found.append(["edge_agent", "evaluate", "--approaches", str(approaches), *both])
    return found


def _call(words: Sequence[str]) -> None:
    print("python -m", *words, flush=True)
    subprocess.run([sys.executable, "-m", *words], check=True)


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Train the shipped detector further, and compare it.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6000, help="pictures of each of the two synthetic sets")
    parser.add_argument("--samples", type=int, default=60000)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--images", type=Path, help="labelled pictures to compare on")
    parser.add_argument("--annotations", type=Path)
    parser.add_argument("--approaches", type=Path, help="films to compare decisions on")
    given = parser.parse_args()
    for written, words in commands(given.out, given.count, given.samples, given.seed):
        if not written.is_file():
            _call(words)
    for words in comparisons(given.out / "run" / "signs.onnx", given.images, given.annotations, given.approaches):
        _call(words)


if __name__ == "__main__":
    main()
