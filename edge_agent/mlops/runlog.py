"""A run's diary: one CSV line a report, and a plot of it.

Knows columns and files. Knows nothing of training.
"""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from edge_agent.errors import ConfigError
from edge_agent.files import write_whole


@dataclass(frozen=True, slots=True)
class Line:
    """Means since the line before; `ap50` and `ap` of the validation split where this line has one."""

    samples: int
    elapsed_s: float
    rate: float
    loss_score: float
    loss_overlap: float
    loss_side: float
    ap50: float | None = None
    ap: float | None = None


def read(path: Path) -> list[Line]:
    """Read a log; an absent one is empty."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_parse(row) for row in csv.DictReader(file)]
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path} is not a training log of this program", remedy="move it away") from error


def _parse(row: dict[str, str]) -> Line:
    """Turn one CSV row into a line."""
    numbers = [float(row[field.name]) if row[field.name] else None for field in fields(Line)[1:]]
    return Line(int(row["samples"]), *numbers)  # type: ignore[arg-type]


def write(path: Path, lines: list[Line]) -> None:
    """Write the whole log anew: it is short, and never half-written."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Line)], lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({k: "" if v is None else round(v, 5) for k, v in asdict(line).items()})
    write_whole(path, text.getvalue().encode())


def plot(path: Path, lines: list[Line]) -> None:
    """Draw losses and validation figures over samples as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

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
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    write_whole(path, buffer.getvalue())
