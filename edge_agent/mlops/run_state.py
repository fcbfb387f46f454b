"""A training run's files: the checkpoint, with everything that resuming needs, the log and its plot."""

import csv
import io
import pickle
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from edge_agent.errors import ConfigError
from edge_agent.mlops.network import Architecture
from edge_agent.runtime.files import write_atomic

SCHEMA = 1


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Weights, their running average, the optimiser's state and the number of samples seen."""

    arch: Architecture
    model: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any] | None
    samples: int
    settings: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically; raises FatalError naming the file."""
    buffer = io.BytesIO()
    torch.save(
        {
            "schema": SCHEMA,
            "arch": checkpoint.arch.to_json(),
            "model": checkpoint.model,
            "average": checkpoint.average,
            "optimiser": checkpoint.optimiser,
            "samples": checkpoint.samples,
            "settings": checkpoint.settings,
        },
        buffer,
    )
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; raises ConfigError naming the file when this program did not write it."""
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
        if raw["schema"] != SCHEMA:
            raise ConfigError(f"{path} has the checkpoint schema {raw['schema']}, this program reads {SCHEMA}")
        arch = Architecture.from_json(raw["arch"])
        return Checkpoint(arch, raw["model"], raw["average"], raw["optimiser"], raw["samples"], raw["settings"])
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise ConfigError(f"{path} is not a checkpoint of this program", remedy="choose a last.pt of a run") from error


def require_same(found: Architecture, wanted: Architecture, path: Path) -> None:
    """Raise ConfigError naming the file when weights of `found` cannot go into a network of `wanted`."""
    if found != wanted:
        theirs, ours = found.to_json(), wanted.to_json()
        parts = ", ".join(f"{key} {theirs[key]} instead of {ours[key]}" for key in ours if theirs[key] != ours[key])
        raise ConfigError(f"{path} holds another architecture: {parts}", remedy="start a new run, or choose another")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One row of log.csv: means since the row before; `ap50` and `ap` where the validation split was rated.

    `rate` is in samples per second.
    """

    samples: int
    elapsed_s: float
    rate: float
    loss_score: float
    loss_overlap: float
    loss_side: float
    ap50: float | None = None
    ap: float | None = None


def read_log(path: Path) -> list[LogLine]:
    """Read a log; an absent one is empty. Raises ConfigError naming the file when it is not a log of this program."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_parse(row) for row in csv.DictReader(file)]
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path} is not a training log of this program", remedy="move it away") from error


def _parse(row: dict[str, str]) -> LogLine:
    numbers = [float(row[field.name]) if row[field.name] else None for field in fields(LogLine)[1:]]
    return LogLine(int(row["samples"]), *numbers)  # type: ignore[arg-type]


def write_log(path: Path, lines: list[LogLine]) -> None:
    """Write the log; raises FatalError naming the file."""
    # Rewritten as a whole: it is short, and a crash never leaves half a row.
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(LogLine)], lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({k: "" if v is None else round(v, 5) for k, v in asdict(line).items()})
    write_atomic(path, text.getvalue().encode())


def plot_log(path: Path, lines: list[LogLine]) -> None:
    """Draw losses and validation figures over samples as a PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    figure = Figure(figsize=(9, 4), dpi=110, layout="constrained")
    losses, scores = figure.subplots(1, 2)
    seen = [line.samples for line in lines]
    for name in ("loss_score", "loss_overlap", "loss_side"):
        losses.plot(seen, [getattr(line, name) for line in lines], label=name.removeprefix("loss_"))
    rated = [line for line in lines if line.ap50 is not None]
    for name in ("ap50", "ap"):
        scores.plot([line.samples for line in rated], [getattr(line, name) for line in rated], "o-", label=name)
    for axes, title in ((losses, "training loss"), (scores, "validation")):
        axes.set(title=title, xlabel="samples")
        axes.grid(alpha=0.3)
        axes.legend()
    scores.set_ylim(0, 1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())
