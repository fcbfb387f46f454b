"""The training loss: assignment of cells to signs, and the terms for scores, box overlap and box sides."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from edge_agent.mlops.network import Architecture, decode_boxes, grid

ALPHA, BETA, TOP = 0.5, 6.0, 10
"""Exponents of score and IoU, and the most cells of one sign: the values of YOLOv8."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """For each of N cells of B pictures: whether it is assigned a sign, which (index into M), its quality (0..1)."""

    taken: Tensor
    sign: Tensor
    quality: Tensor


def pair_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of (..., M, 4) with (..., N, 4) boxes (left, top, right, bottom) -> (..., M, N)."""
    left_top = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    right_bottom = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    inter = (right_bottom - left_top).clamp(min=0).prod(dim=-1)
    area_a = (a[..., 2:] - a[..., :2]).prod(dim=-1)[..., :, None]
    area_b = (b[..., 2:] - b[..., :2]).prod(dim=-1)[..., None, :]
    return inter / (area_a + area_b - inter).clamp(min=1e-7)


def inside(boxes: Tensor, centres: Tensor) -> Tensor:
    """Whether (N, 2) points lie in (B, M, 4) boxes, of which thin ones are widened -> (B, M, N)."""
    middle = (boxes[..., :2] + boxes[..., 2:]) * 0.5
    # Least distance from a box's centre to its sides when cells are chosen: a sign seen edge-on is thinner than a cell.
    half = ((boxes[..., 2:] - boxes[..., :2]) * 0.5).clamp(min=6.0)
    return ((centres - middle[..., None, :]).abs() < half[..., None, :]).all(dim=-1)


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, centres: Tensor, *, truth: Tensor, labels: Tensor, real: Tensor
) -> Assignment:
    """Choose the cells of each sign by task alignment: score and overlap of their predictions.

    Args:
        scores: (B, N, classes) in 0..1; boxes: (B, N, 4) predicted; centres: (N, 2) of the cells.
        truth: (B, M, 4); labels: (B, M) class ids; real: (B, M) False where a row is padding.
    """
    overlap = pair_iou(truth, boxes)
    own = scores.gather(2, labels[:, None, :].expand(-1, scores.shape[1], -1)).transpose(1, 2)
    # The floor lets a sign that no prediction overlaps yet still be assigned cells.
    alignment = own.pow(ALPHA) * overlap.clamp(min=1e-2).pow(BETA) * (inside(truth, centres) & real[..., None])
    chosen = alignment.topk(min(TOP, alignment.shape[-1]), dim=-1).indices
    wanted = torch.zeros_like(alignment, dtype=torch.bool).scatter_(-1, chosen, value=True) & (alignment > 0)
    taken = wanted.any(dim=1)
    # A cell chosen by several signs goes to the one it overlaps most.
    sign = torch.where(wanted, overlap, -1.0).argmax(dim=1)
    kept = torch.zeros_like(wanted).scatter_(1, sign[:, None, :], value=True) & wanted
    alignment = alignment * kept
    scale = (overlap * kept).amax(dim=-1, keepdim=True) / alignment.amax(dim=-1, keepdim=True).clamp(min=1e-12)
    return Assignment(taken, sign, (alignment * scale).amax(dim=1).clamp(max=1.0))


WEIGHTS = (0.5, 7.5, 1.5)
"""Weights of the score, overlap and side terms, as in the YOLOv8 family."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Ground truth of a batch: boxes (B, M, 4) left, top, right, bottom in pixels, labels (B, M).

    The label -1 is padding, -2 a box to ignore (too small, cut off). `known` (B, classes) is False for classes that a
    picture's data set does not annotate, so that their absence is not learnt.
    """

    boxes: Tensor
    labels: Tensor
    known: Tensor

    def to(self, device: torch.device) -> "Targets":
        """Return a copy on a device."""
        return Targets(self.boxes.to(device), self.labels.to(device), self.known.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The weighted terms of one batch; `total` is to be minimised."""

    score: Tensor
    overlap: Tensor
    side: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of the terms."""
        return self.score + self.overlap + self.side


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU (Zheng et al. 2020, arXiv:2005.03572) of (K, 4) with (K, 4) boxes -> (K,), in -1..1."""
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
    """Distribution focal loss (Li et al. 2020, arXiv:2006.04388): (K, 4, bins) logits, (K, 4) strides -> (K,)."""
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
        """Return the losses of the network's logits, boxes (B, N, 4 * bins) and scores (B, N, classes)."""
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
        """Sum the cross entropy, except for classes that are not annotated and cells in boxes to ignore."""
        ignored = (inside(targets.boxes, self.centres) & (targets.labels == -2)[..., None]).any(dim=1) & ~taken
        weight = targets.known[:, None, :] & ~ignored[..., None]
        return (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight).sum()

    def _boxes(self, box_logits: Tensor, targets: Targets, found: Assignment) -> tuple[Tensor, Tensor]:
        """Sum the overlap and side terms over the assigned cells, weighted with their quality."""
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
