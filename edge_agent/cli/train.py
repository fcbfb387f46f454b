"""`edge-agent train`: train a detector that the agent can run, from pictures with boxes."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.output import progress_bar
from edge_agent.errors import UsageError, install_remedy

if TYPE_CHECKING:
    from edge_agent.mlops.job import TrainingJob

DataOption = Annotated[
    list[Path], typer.Option("--data", metavar="DIR", help="A data set in COCO format; may be repeated.")
]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for checkpoints, log, plot and model.")]
EpochsOption = Annotated[float | None, typer.Option("--epochs", help="Passes over the data; or give --samples.")]
SamplesOption = Annotated[int | None, typer.Option("--samples", help="Pictures to train on in the whole run.")]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Pictures per step.")]
RateOption = Annotated[float | None, typer.Option("--rate", min=1e-7, help="Peak learning rate.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the initial weights and of the pictures' order.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")]
InitOption = Annotated[
    Path | None,
    typer.Option("--init", metavar="FILE", help="Start from these weights: one of our .onnx files or a last.pt."),
]
FinetuneOption = Annotated[
    bool,
    typer.Option("--finetune", help="For a few pictures of your own: sample each --data equally, with a low rate."),
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 for one per core.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
SizeOption = Annotated[str, typer.Option("--size", metavar="WxH", help="The model's input size; multiples of 32.")]
SharesOption = Annotated[
    str, typer.Option("--shares", help="How often each --data is sampled, like 0.7,0.3; default: by its size.")
]
MarginOption = Annotated[
    float, typer.Option("--margin", min=0.0, help="Pixels by which boxes are enlarged on each side.")
]
MapOption = Annotated[
    str, typer.Option("--label-map", help="Where the data use other names: danger=DangerAhead,... (ours first).")
]


def train(
    data: DataOption,
    out: OutOption,
    epochs: EpochsOption = None,
    samples: SamplesOption = None,
    batch: BatchOption = 16,
    rate: RateOption = None,
    seed: SeedOption = 0,
    resume: ResumeOption = False,
    init: InitOption = None,
    finetune: FinetuneOption = False,
    threads: ThreadsOption = 0,
    device: DeviceOption = "auto",
    size: SizeOption = "768x576",
    margin: MarginOption = 1.2,
    shares: SharesOption = "",
    label_map: MapOption = "",
) -> None:
    """Train the detector on pictures with boxes, and export it as ONNX.

    It can be stopped at any time and continued with --resume; the result is the same.
    """
    _require_torch()
    from edge_agent.mlops.coco import parse_label_map
    from edge_agent.mlops.job import TrainingJob
    from edge_agent.mlops.train import TrainingSettings

    settings = TrainingSettings(samples=_total(samples, epochs, data), batch=batch, seed=seed)
    if finetune:
        settings = replace(settings, rate=1.5e-4, warm_up=400, hold=0.3, calm=0.5)
    if rate is not None:
        settings = replace(settings, rate=rate)
    job = TrainingJob(
        folders=tuple(data),
        out=out,
        settings=settings,
        command=shlex.join(["edge-agent", *sys.argv[1:]]),
        resume=resume,
        init=init,
        finetune=finetune,
        device=device,
        threads=threads,
        size=_size(size),
        margin_px=margin,
        shares=_shares(shares, len(data)),
        label_map={name: label for label, name in parse_label_map(label_map).items()},
    )
    _run(job)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401 - only installed with the extra
    except ImportError as error:
        raise UsageError("training needs PyTorch", remedy=install_remedy("train")) from error


def _total(samples: int | None, epochs: float | None, data: list[Path]) -> int:
    """Return the number of samples of the run, from --samples or --epochs."""
    from edge_agent.mlops.coco import count_pictures

    if (samples is None) == (epochs is None):
        raise UsageError("give --samples or --epochs", remedy="one of them; 300000 samples is a good run")
    total = samples if samples is not None else round((epochs or 0) * sum(count_pictures(one, "train") for one in data))
    if total <= 0:
        raise UsageError("the run would have no samples", remedy="give a positive --samples or --epochs")
    return total


def _shares(text: str, sets: int) -> tuple[float, ...] | None:
    """Parse shares and scale them to a sum of 1."""
    if not text:
        return None
    parts = text.split(",")
    numbers = [float(part) for part in parts if part.strip().replace(".", "", 1).isdecimal()]
    if len(numbers) != len(parts) or len(numbers) != sets or not sum(numbers) > 0:
        raise UsageError(f"--shares is {text!r}", remedy="give one number for each --data, like 0.7,0.3")
    return tuple(number / sum(numbers) for number in numbers)


def _size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT."""
    width, by, height = text.partition("x")
    if not (by and width.isdecimal() and height.isdecimal()) or any(
        int(side) % 32 or not int(side) for side in (width, height)
    ):
        raise UsageError(f"--size is {text!r}", remedy="write WIDTHxHEIGHT in multiples of 32, like 640x480")
    return int(width), int(height)


def _run(job: "TrainingJob") -> None:
    from edge_agent.mlops.job import Hooks, run
    from edge_agent.mlops.train import Progress

    with progress_bar() as bar:
        reading = bar.add_task("reading pictures", total=None)
        training = bar.add_task("training", total=job.settings.samples, visible=False)

        def show(report: Progress) -> None:
            line = report.line
            losses = f"score {line.loss_score:.2f} box {line.loss_overlap:.2f} side {line.loss_side:.2f}"
            bar.update(reading, visible=False)
            bar.update(training, completed=report.samples, description=f"training  {losses}", visible=True)
            if line.ap50 is not None and line.ap is not None:
                bar.console.print(f"{report.samples} samples: validation AP50 {line.ap50:.3f}, AP50-95 {line.ap:.3f}")

        model = run(job, Hooks(reading=lambda: bar.advance(reading), progress=show))
    typer.echo(str(model))
