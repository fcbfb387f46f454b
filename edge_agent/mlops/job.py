"""A whole training job: read the data sets, choose a device, start or resume, train, export.

Runs in the caller's thread and takes hours; progress goes to the caller's hooks.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mlops import export, release
from edge_agent.mlops.augment import AugmentOptions
from edge_agent.mlops.coco import IGNORE, LabelledPicture, read_split
from edge_agent.mlops.evaluate.matching import ap_table, match, mean_ap
from edge_agent.mlops.evaluate.truth import AnnotatedPicture, GroundTruth, PictureDetections
from edge_agent.mlops.network import Architecture, ExportNet, SignNet
from edge_agent.mlops.run_state import load_checkpoint, require_same
from edge_agent.mlops.sampler import Sampler
from edge_agent.mlops.train import Progress, Trainer, TrainingSettings
from edge_agent.perception.vision import Letterbox, OutputLayout, OutputSpec, Placement, decode, suppress
from edge_agent.signs import LABELS

VIEW = (320, 256)
"""Width and height of a training view: the size of the pictures that `dataset synth` draws."""
SHIPPING = (768, 576)
"""Width and height of the exported network's input."""
PRIORS = {"speed_limit_other": -1.0, "stop": -0.6}
"""Shifts of score logits at export. The generator draws other limits as often as 30 and 50, toy sets have these two;
and a false STOP costs more than one that is seen a frame later (real ones score above 0.8 all the same)."""

_SPEC = OutputSpec(OutputLayout.CHANNELS_LAST, (0,))
_MIN_SCORE, _NMS_IOU, _MAX_DETECTIONS = 0.01, 0.5, 100


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """The options of `edge-agent train`."""

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
    """Callbacks: `reading` once for each picture read, `progress` at each report."""

    reading: Callable[[], None] = lambda: None
    progress: Callable[[Progress], None] = lambda progress: None


class Validator:
    """Rates a network on the validation split: called with it, returns AP50 and AP50-95.

    Pictures are letterboxed to one size and the output is decoded as the agent decodes it.
    """

    def __init__(self, pictures: Sequence[LabelledPicture], width: int, height: int, device: torch.device) -> None:
        self.pictures, self.width, self.height, self.device = pictures, width, height, device
        annotated = tuple(
            AnnotatedPicture(one.path, one.boxes.astype(np.float64), one.labels, one.labels == IGNORE)
            for one in pictures
        )
        self.truth = GroundTruth(annotated, LABELS, {label: index for index, label in enumerate(LABELS)})

    def __call__(self, net: SignNet) -> tuple[float, float]:
        """Return AP50 and AP50-95 of a network."""
        module = ExportNet(net, self.height, self.width).eval().to(self.device)
        letterbox = Letterbox(self.width, self.height)
        detections = [self._detect(module, letterbox, picture) for picture in self.pictures]
        return mean_ap(ap_table(match(self.truth, detections)))

    @torch.no_grad()
    def _detect(self, module: ExportNet, letterbox: Letterbox, picture: LabelledPicture) -> PictureDetections:
        """Run the network on one picture."""
        blob, placement = letterbox.fill(picture.decode())
        output = module(torch.from_numpy(blob).to(self.device)).float().cpu().numpy()
        found = suppress(decode([output], _SPEC, _MIN_SCORE), _NMS_IOU, _MAX_DETECTIONS)
        boxes = _to_picture(found.boxes, placement)
        labels = tuple(LABELS[index] for index in found.classes)
        return PictureDetections(boxes, found.scores.astype(np.float64), found.classes.astype(np.int64), labels)


def _to_picture(boxes: NDArray[np.float32], placement: Placement) -> NDArray[np.float64]:
    """Map boxes from the network's input to the picture."""
    moved = boxes.astype(np.float64) - np.array([placement.left, placement.top] * 2)
    return np.asarray(moved / np.array([placement.scale_x, placement.scale_y] * 2))


def pick_device(name: str) -> torch.device:
    """Return the device for auto, cpu or cuda; raises UsageError for another word or where CUDA is not available."""
    if name not in {"auto", "cpu", "cuda"}:
        raise UsageError(f"--device is {name!r}", remedy="it is auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("--device is cuda, but this PyTorch finds no CUDA device", remedy="use --device cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def read_sets(
    job: TrainingJob, tick: Callable[[], None]
) -> tuple[tuple[list[LabelledPicture], ...], list[LabelledPicture]]:
    """Read all training splits, and the validation splits that exist; raises ConfigError when there is none."""
    train = tuple(read_split(folder, "train", label_map=job.label_map, tick=tick) for folder in job.folders)
    validation: list[LabelledPicture] = []
    for folder in job.folders:
        if (folder / "annotations" / "val.json").is_file():
            validation += read_split(folder, "val", label_map=job.label_map)
    if not validation:
        raise ConfigError(f"{job.folders[0]} has no val split", remedy="one of the --data folders needs one")
    # Validation pictures that rate the network while it trains; more would hold the training up.
    step = max(1, -(-len(validation) // 400))
    return train, validation[::step]


def shares_of(sets: Sequence[Sequence[LabelledPicture]], *, finetune: bool) -> tuple[float, ...]:
    """Return how often each set is drawn: by its size; evenly when fine-tuning.

    Fine-tuning mixes a few pictures of one's own with many synthetic ones.
    """
    if finetune:
        return (1 / len(sets),) * len(sets)
    total = sum(len(one) for one in sets)
    return tuple(len(one) / total for one in sets)


def initial(job: TrainingJob) -> SignNet:
    """Return the network to start from: random by the seed, or with the weights of `job.init`.

    `job.init` is an ONNX file exported by this program, or a checkpoint. Raises ConfigError naming it when it is
    neither, or of another architecture.
    """
    torch.manual_seed(job.settings.seed)
    if job.init is None:
        return SignNet(job.arch)
    if job.init.suffix == ".onnx":
        arch, weights = export.read_back(job.init)
    else:
        found = load_checkpoint(job.init)
        arch, weights = found.arch, found.average
    require_same(arch, job.arch, job.init)
    net = SignNet(arch)
    net.load_state_dict(weights)
    return net


def run(job: TrainingJob, hooks: Hooks = Hooks()) -> Path:
    """Run the job and return the path of the exported model.

    Raises ConfigError for unusable data or files, UsageError for options that contradict each other.
    """
    if job.resume and job.init:
        raise UsageError("--resume and --init exclude each other", remedy="leave one out")
    device = pick_device(job.device)
    if job.threads:
        torch.set_num_threads(job.threads)
    if (job.out / "last.pt").exists() and not job.resume:
        raise UsageError(f"{job.out} holds a run already", remedy="add --resume, or choose another --out")
    sets, validation = read_sets(job, hooks.reading)
    augmentation = AugmentOptions(mosaic=0.25, scale=(0.5, 1.3)) if job.finetune else AugmentOptions()
    shares = job.shares or shares_of(sets, finetune=job.finetune)
    sampler = Sampler(sets, shares, *VIEW, job.settings.seed, augmentation)
    trainer = Trainer(initial(job), sampler, job.settings, job.out, device)
    if job.resume:
        trainer.resume()
    net = trainer.run(Validator(validation, *VIEW, device), hooks.progress)
    return finish(job, net, trainer, sets)


def finish(job: TrainingJob, net: SignNet, trainer: Trainer, sets: Sequence[Sequence[LabelledPicture]]) -> Path:
    """Export the averaged weights and write model and manifest into the run's folder."""
    exported = export.export(net, *job.size, LABELS, shifts=PRIORS, margin_px=job.margin_px)
    rated = [line for line in trainer.lines if line.ap50 is not None]
    metrics: dict[str, Any] = {}
    if rated:
        metrics["synthetic validation"] = {"ap50": rated[-1].ap50, "ap": rated[-1].ap}
    provenance = release.Provenance(
        command=job.command,
        samples=trainer.samples,
        data=[release.describe_data(folder, len(one)) for folder, one in zip(job.folders, sets, strict=True)],
        torch=torch.__version__,
        commit=release.commit_of_here(),
        metrics=metrics | {"settings": asdict(job.settings)},
    )
    described = release.manifest(
        f"{release.SHIPPED}.onnx", exported, net.arch, size=job.size, threshold=0.5, provenance=provenance
    )
    return release.write(job.out, exported, described)
