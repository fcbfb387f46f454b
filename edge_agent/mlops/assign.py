"""Which cells of the network answer for which sign: task-aligned assignment.

Knows boxes, scores and cells. Knows nothing of the network or of the loss built on its answer.
After Feng et al. 2021, "TOOD: Task-aligned One-stage Object Detection", arXiv:2108.07755.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

ALPHA, BETA, TOP = 0.5, 6.0, 10
"""Exponents of score and overlap, and the most cells a sign may hold: the paper's values, as YOLOv8 uses them."""
LEAST_HALF_PX = 6.0
"""A sign seen edge-on is thinner than a cell: look for cells in a box at least this far around its centre."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """For each of N cells of B pictures: has it a sign, which (index into M), and how well (0..1)."""

    taken: Tensor
    sign: Tensor
    quality: Tensor


def pair_iou(a: Tensor, b: Tensor) -> Tensor:
    """Overlap of (..., M, 4) with (..., N, 4) boxes (left, top, right, bottom): (..., M, N)."""
    left_top = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    right_bottom = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    inter = (right_bottom - left_top).clamp(min=0).prod(dim=-1)
    area_a = (a[..., 2:] - a[..., :2]).prod(dim=-1)[..., :, None]
    area_b = (b[..., 2:] - b[..., :2]).prod(dim=-1)[..., None, :]
    return inter / (area_a + area_b - inter).clamp(min=1e-7)


def inside(boxes: Tensor, centres: Tensor) -> Tensor:
    """Tell which of (N, 2) points lie in (B, M, 4) boxes, thin boxes widened: (B, M, N)."""
    middle = (boxes[..., :2] + boxes[..., 2:]) * 0.5
    half = ((boxes[..., 2:] - boxes[..., :2]) * 0.5).clamp(min=LEAST_HALF_PX)
    return ((centres - middle[..., None, :]).abs() < half[..., None, :]).all(dim=-1)


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, centres: Tensor, *, truth: Tensor, labels: Tensor, real: Tensor
) -> Assignment:
    """Pick the cells of each sign.

    Args:
        scores: (B, N, classes) in 0..1; boxes: (B, N, 4) predicted; centres: (N, 2) of the cells.
        truth: (B, M, 4); labels: (B, M) class ids; real: (B, M) False where a row is only padding.
    """
    overlap = pair_iou(truth, boxes)
    own = scores.gather(2, labels[:, None, :].expand(-1, scores.shape[1], -1)).transpose(1, 2)
    # The small floor lets a sign that nothing overlaps yet still take cells.
    fit = own.pow(ALPHA) * overlap.clamp(min=1e-2).pow(BETA) * (inside(truth, centres) & real[..., None])
    chosen = fit.topk(min(TOP, fit.shape[-1]), dim=-1).indices
    wanted = torch.zeros_like(fit, dtype=torch.bool).scatter_(-1, chosen, value=True) & (fit > 0)
    taken = wanted.any(dim=1)
    # A cell that several signs want goes to the one it overlaps most.
    sign = torch.where(wanted, overlap, -1.0).argmax(dim=1)
    held = torch.zeros_like(wanted).scatter_(1, sign[:, None, :], value=True) & wanted
    fit = fit * held
    scale = (overlap * held).amax(dim=-1, keepdim=True) / fit.amax(dim=-1, keepdim=True).clamp(min=1e-12)
    return Assignment(taken, sign, (fit * scale).amax(dim=1).clamp(max=1.0))
