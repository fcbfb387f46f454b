"""A whole training job: read the sets, choose a device, start or resume, train, export.

Knows the order of the steps. Knows nothing of the command line; progress goes to functions handed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mlops import coco as data
from edge_agent.mlops import export, release
from edge_agent.mlops import run_state as checkpoint
from edge_agent.mlops.augment import AugmentOptions
from edge_agent.mlops.coco import LabelledPicture
from edge_agent.mlops.network import Architecture, SignNet
from edge_agent.mlops.sampler import Sampler
from edge_agent.mlops.train import Progress, Trainer, TrainingSettings
from edge_agent.mlops.validation import Validator
from edge_agent.signs import LABELS

VIEW = (320, 256)
"""Width and height of a training view: what `dataset synth` draws."""
SHIPPING = (768, 576)
"""Width and height of the exported network's input."""
PRIORS = {"speed_limit_other": -1.0, "stop": -0.6}
"""Shifts of score logits at export. The generator draws other limits as often as 30 and 50, toy sets have these two;
and a false STOP costs more than one that is seen a frame later (real ones score above 0.8 all the same)."""
MOST_JUDGED = 400
"""Validation pictures that rate the network while it trains: more would hold the training up."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What to do: see the options of `edge-agent train`."""

    folders: tuple[Path, ...]
    out: Path
    settings: TrainingSettings
    command: str
    resume: bool = False
    init: Path | None = None
    finetune: bool = False
    device: str = "auto"
    threads: int = 0
    size: tuple[int, int] = SHIPPING
    arch: Architecture = field(default_factory=Architecture)
    label_map: dict[str, str] | None = None
    margin_px: float = 1.2
    shares: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Whom to tell: `reading` once a picture, `progress` at each report."""

    reading: Callable[[], None] = lambda: None
    progress: Callable[[Progress], None] = lambda progress: None


def pick_device(name: str) -> torch.device:
    """Turn auto, cpu or cuda into a device; raises UsageError for another word or a CUDA that is not there."""
    if name not in {"auto", "cpu", "cuda"}:
        raise UsageError(f"--device is {name!r}", remedy="it is auto, cpu or cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UsageError("--device is cuda, but this PyTorch sees no CUDA device", remedy="use --device cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def read_sets(
    job: TrainingJob, tick: Callable[[], None]
) -> tuple[tuple[list[LabelledPicture], ...], list[LabelledPicture]]:
    """Read all training splits, and the validation splits that exist; raises ConfigError when there is none."""
    train = tuple(data.read_split(folder, "train", label_map=job.label_map, tick=tick) for folder in job.folders)
    judged: list[LabelledPicture] = []
    for folder in job.folders:
        if (folder / "annotations" / "val.json").is_file():
            judged += data.read_split(folder, "val", label_map=job.label_map)
    if not judged:
        raise ConfigError(f"{job.folders[0]} has no val split", remedy="one of the --data folders needs one")
    step = max(1, -(-len(judged) // MOST_JUDGED))
    return train, judged[::step]


def shares_of(sets: Sequence[Sequence[LabelledPicture]], *, finetune: bool) -> tuple[float, ...]:
    """How often each set is drawn: by its size; evenly when fine-tuning, where few own pictures meet many synthetic."""
    if finetune:
        return (1 / len(sets),) * len(sets)
    total = sum(len(one) for one in sets)
    return tuple(len(one) / total for one in sets)


def initial(job: TrainingJob) -> SignNet:
    """Make the network: random by the seed, or with the weights of `job.init` (ours as ONNX, or a checkpoint)."""
    torch.manual_seed(job.settings.seed)
    if job.init is None:
        return SignNet(job.arch)
    if job.init.suffix == ".onnx":
        arch, weights = export.read_back(job.init)
    else:
        found = checkpoint.load(job.init)
        arch, weights = found.arch, found.average
    checkpoint.require_same(arch, job.arch, job.init)
    net = SignNet(arch)
    net.load_state_dict(weights)
    return net


def run(job: TrainingJob, hooks: Hooks = Hooks()) -> Path:
    """Do the job and return the exported model's path.

    Raises ConfigError for bad data or files, UsageError for options that do not fit each other.
    """
    if job.resume and job.init:
        raise UsageError("--resume and --init exclude each other", remedy="leave one out")
    device = pick_device(job.device)
    if job.threads:
        torch.set_num_threads(job.threads)
    if (job.out / "last.pt").exists() and not job.resume:
        raise UsageError(f"{job.out} holds a run already", remedy="add --resume, or choose another --out")
    sets, judged = read_sets(job, hooks.reading)
    chances = AugmentOptions(mosaic=0.25, scale=(0.5, 1.3)) if job.finetune else AugmentOptions()
    shares = job.shares or shares_of(sets, finetune=job.finetune)
    sampler = Sampler(sets, shares, *VIEW, job.settings.seed, chances)
    trainer = Trainer(initial(job), sampler, job.settings, job.out, device)
    if job.resume:
        trainer.resume()
    net = trainer.run(Validator(judged, *VIEW, device), hooks.progress)
    return finish(job, net, trainer, sets)


def finish(job: TrainingJob, net: SignNet, trainer: Trainer, sets: Sequence[Sequence[LabelledPicture]]) -> Path:
    """Export the average and write its manifest into the run's folder."""
    exported = export.export(net, *job.size, LABELS, shifts=PRIORS, margin_px=job.margin_px)
    rated = [line for line in trainer.lines if line.ap50 is not None]
    metrics: dict[str, Any] = {}
    if rated:
        metrics["synthetic validation"] = {"ap50": rated[-1].ap50, "ap": rated[-1].ap}
    origin = release.Provenance(
        command=job.command,
        samples=trainer.samples,
        data=[release.describe_data(folder, len(one)) for folder, one in zip(job.folders, sets, strict=True)],
        torch=torch.__version__,
        commit=release.commit_of_here(),
        metrics=metrics | {"settings": asdict(job.settings)},
    )
    described = release.manifest(
        f"{release.SHIPPED}.onnx", exported, net.arch, size=job.size, threshold=0.5, origin=origin
    )
    return release.write(job.out, exported, described)
