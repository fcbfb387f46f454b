"""What training minimises: scores, overlap and the sharpness of each box side.

Knows logits, targets and masks. Knows nothing of pictures, networks or optimisers.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from edge_agent.mlops.assign import Assignment, assign, inside
from edge_agent.mlops.network import Architecture, decode_boxes, grid

WEIGHTS = (0.5, 7.5, 1.5)
"""Of the score, overlap and side terms: the balance that the YOLOv8 family settled on."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What the pictures of a batch hold: boxes (B, M, 4) left, top, right, bottom in pixels, labels (B, M).

    A label of -1 pads; -2 marks a box to ignore (too small, cut off). `known` (B, classes) is False for a class that a
    picture's data set does not annotate: there its absence proves nothing.
    """

    boxes: Tensor
    labels: Tensor
    known: Tensor

    def to(self, device: torch.device) -> "Targets":
        """Copy to a device."""
        return Targets(self.boxes.to(device), self.labels.to(device), self.known.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The terms of one batch, weighted; `total` is what to differentiate."""

    score: Tensor
    overlap: Tensor
    side: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of the terms."""
        return self.score + self.overlap + self.side


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete overlap (Zheng et al. 2020, arXiv:2005.03572) of (K, 4) boxes with (K, 4) boxes, in -1..1."""
    size_a, size_b = (a[:, 2:] - a[:, :2]).clamp(min=1e-3), (b[:, 2:] - b[:, :2]).clamp(min=1e-3)
    inter = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=-1)
    iou = inter / (size_a.prod(dim=-1) + size_b.prod(dim=-1) - inter)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) ** 2).sum(dim=-1) / 4
    angle_a, angle_b = (torch.atan(size[:, 0] / size[:, 1]) for size in (size_a, size_b))
    shape = 4 / math.pi**2 * (angle_a - angle_b) ** 2
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-7)
    return iou - apart / ((hull**2).sum(dim=-1) + 1e-7) - weight * shape


def side_loss(logits: Tensor, distance: Tensor) -> Tensor:
    """Distribution focal loss: (K, 4, bins) logits, (K, 4) distances in strides -> (K,)."""
    bins = logits.shape[-1]
    distance = distance.clamp(0, bins - 1.01)
    low = distance.floor()
    share = distance - low
    log = logits.log_softmax(dim=-1)
    below = log.gather(-1, low.long().unsqueeze(-1)).squeeze(-1)
    above = log.gather(-1, low.long().unsqueeze(-1) + 1).squeeze(-1)
    return -((1 - share) * below + share * above).mean(dim=-1)


class DetectionLoss:
    """The loss for pictures of one size."""

    def __init__(self, arch: Architecture, height: int, width: int, device: torch.device) -> None:
        self.arch = arch
        centres, strides = grid(height, width, arch.strides)
        self.centres, self.strides = centres.to(device), strides.to(device)

    def __call__(self, raw: tuple[Tensor, Tensor], targets: Targets) -> Losses:
        """Hold the network's logits, boxes (B, N, 4 * bins) and scores (B, N, classes), against the truth."""
        box_logits, score_logits = raw[0].float(), raw[1].float()
        with torch.no_grad():
            boxes = decode_boxes(box_logits, self.centres, self.strides, self.arch.bins)
        real = targets.labels >= 0
        labels = targets.labels.clamp(min=0)
        found = assign(
            score_logits.detach().sigmoid(), boxes, self.centres, truth=targets.boxes, labels=labels, real=real
        )
        wanted = torch.zeros_like(score_logits)
        wanted.scatter_(2, labels.gather(1, found.sign).unsqueeze(-1), (found.quality * found.taken).unsqueeze(-1))
        amount = wanted.sum().clamp(min=1.0)
        score = self._score(score_logits, wanted, found.taken, targets) / amount
        if not bool(found.taken.any()):
            zero = box_logits.sum() * 0
            return Losses(score * WEIGHTS[0], zero, zero)
        overlap, side = self._boxes(box_logits, targets, found)
        return Losses(score * WEIGHTS[0], overlap / amount * WEIGHTS[1], side / amount * WEIGHTS[2])

    def _score(self, logits: Tensor, wanted: Tensor, taken: Tensor, targets: Targets) -> Tensor:
        """Sum of the cross entropy, without what nobody knows: classes not annotated, cells in boxes to ignore."""
        shadow = (inside(targets.boxes, self.centres) & (targets.labels == -2)[..., None]).any(dim=1) & ~taken
        weight = targets.known[:, None, :] & ~shadow[..., None]
        return (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight).sum()

    def _boxes(self, box_logits: Tensor, targets: Targets, found: Assignment) -> tuple[Tensor, Tensor]:
        """Sum the overlap and side terms over the cells that hold a sign, each weighted with its quality."""
        taken = found.taken
        truth = targets.boxes.gather(1, found.sign.unsqueeze(-1).expand(-1, -1, 4))[taken]
        weight = found.quality[taken]
        centres = self.centres.expand(len(taken), -1, -1)[taken]
        strides = self.strides.expand(len(taken), -1, -1)[taken]
        boxes = decode_boxes(box_logits[taken], centres, strides, self.arch.bins)
        overlap = ((1 - ciou(boxes, truth)) * weight).sum()
        distance = torch.cat((centres - truth[:, :2], truth[:, 2:] - centres), dim=-1) / strides
        logits = box_logits[taken].reshape(-1, 4, self.arch.bins)
        return overlap, (side_loss(logits, distance) * weight).sum()
