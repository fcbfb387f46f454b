"""The endless stream of training batches: sample k depends on the seed and k alone, so a run can stop anywhere."""

import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_agent.mlops.augment import AugmentOptions, TrainingView, bars, change_appearance, crop, mosaic
from edge_agent.mlops.coco import LabelledPicture
from edge_agent.mlops.loss import Targets
from edge_agent.mlops.synth.dead_leaves import dead_leaves
from edge_agent.signs import LABELS


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures (B, 3, H, W) uint8 RGB and their targets."""

    pixels: Tensor
    targets: Targets


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """Draws training views from several data sets, set i with the probability `shares[i]`."""

    sets: tuple[list[LabelledPicture], ...]
    shares: tuple[float, ...]
    width: int
    height: int
    seed: int
    augmentation: AugmentOptions = field(default_factory=AugmentOptions)

    def view(self, index: int, *, calm: bool = False) -> tuple[TrainingView, NDArray[np.bool_]]:
        """Return sample `index` and the classes annotated in it, (classes,) bool; `calm` makes mosaics rarer."""
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < self.augmentation.empty:
            return self._empty_view(rng), np.ones(len(LABELS), dtype=np.bool_)
        group = self.sets[rng.choice(len(self.sets), p=self.shares)]
        tiled = rng.random() < (self.augmentation.mosaic / 4 if calm else self.augmentation.mosaic)
        picked = [group[i] for i in rng.integers(len(group), size=4 if tiled else 1)]
        sources = [TrainingView(picture.decode(), picture.boxes, picture.labels) for picture in picked]
        if tiled:
            made = mosaic(sources, self.width, self.height, self.augmentation, rng)
        else:
            made = crop(sources[0], self.width, self.height, self.augmentation, rng)
        made = TrainingView(change_appearance(made.image, self.augmentation, rng), made.boxes, made.labels)
        if rng.random() < self.augmentation.bars:
            made = bars(made, rng)
        return made, picked[0].known

    def _empty_view(self, rng: np.random.Generator) -> TrainingView:
        """Return a view of dead leaves, without any sign."""
        image = change_appearance(dead_leaves(self.width, self.height, rng), self.augmentation, rng)
        return TrainingView(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))

    def batch(self, first: int, count: int, *, calm: bool = False) -> Batch:
        """Return samples `first` to `first + count - 1`."""
        made = [self.view(first + offset, calm=calm) for offset in range(count)]
        return collate([view for view, _ in made], [known for _, known in made])


def collate(views: list[TrainingView], known: list[NDArray[np.bool_]]) -> Batch:
    """Stack views; missing boxes are padded with the label -1."""
    most = max(1, *(len(view.boxes) for view in views))
    boxes = np.zeros((len(views), most, 4), np.float32)
    labels = np.full((len(views), most), -1, np.int64)
    for row, view in enumerate(views):
        boxes[row, : len(view.boxes)] = view.boxes
        labels[row, : len(view.boxes)] = view.labels
    pixels = np.stack([view.image for view in views])[..., ::-1].transpose(0, 3, 1, 2)
    targets = Targets(torch.from_numpy(boxes), torch.from_numpy(labels), torch.from_numpy(np.stack(known)))
    return Batch(torch.from_numpy(np.ascontiguousarray(pixels)), targets)


def stream(
    sampler: Sampler, first: int, last: int, size: int, calm_from: int, *, ahead: int = 4
) -> Generator[Batch, None, None]:
    """Yield the batches of samples `first` to `last - 1`, prepared in a thread up to `ahead` batches in advance."""
    made: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def produce() -> None:
        try:
            for start in range(first, last, size):
                _put(made, sampler.batch(start, min(size, last - start), calm=start >= calm_from), stop)
                if stop.is_set():
                    return
            _put(made, None, stop)
        except Exception as error:  # noqa: BLE001 - passed to the consumer, which raises it
            _put(made, error, stop)

    thread = threading.Thread(target=produce, name="batches", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _put(
    made: "queue.Queue[Batch | BaseException | None]", item: Batch | BaseException | None, stop: threading.Event
) -> None:
    """Queue an item, unless the consumer has stopped."""
    while not stop.is_set():
        try:
            made.put(item, timeout=0.2)
        except queue.Full:
            continue
        return
