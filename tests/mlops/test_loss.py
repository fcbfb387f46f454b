"""Assignment of cells to signs, and the loss."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from edge_agent.mlops.loss import DetectionLoss, Targets, assign, ciou, pair_iou  # noqa: E402
from edge_agent.mlops.network import Architecture, decode_boxes, grid  # noqa: E402

ARCH = Architecture(classes=3, bins=8)


def targets(boxes: list[list[float]], labels: list[int], known: list[bool] | None = None) -> Targets:
    mask = torch.tensor([known or [True] * 3])
    return Targets(torch.tensor([boxes]).reshape(1, -1, 4), torch.tensor([labels]), mask)


def loss(scores: Any, truth: Targets) -> float:
    boxes = torch.zeros(1, scores.shape[1], 4 * ARCH.bins)
    return float(DetectionLoss(ARCH, 64, 64, torch.device("cpu"))((boxes, scores), truth).score)


def quiet(score: float = -12.0) -> Any:
    return torch.full((1, len(grid(64, 64, ARCH.strides)[0]), 3), score)


def test_assign_thin_sign_between_cell_centres_still_takes_a_cell() -> None:
    centres, _ = grid(64, 64, (8,))
    truth = torch.tensor([[[23.0, 10.0, 25.0, 40.0]]])
    boxes = torch.cat((centres - 8, centres + 8), dim=1)[None]
    found = assign(
        torch.full((1, 64, 3), 0.1),
        boxes,
        centres,
        truth=truth,
        labels=torch.tensor([[1]]),
        real=torch.tensor([[True]]),
    )
    assert bool(found.taken.any())


def test_assign_cell_wanted_twice_goes_to_the_closer_sign() -> None:
    centres, _ = grid(32, 32, (8,))
    truth = torch.tensor([[[8.0, 8.0, 24.0, 24.0], [8.0, 8.0, 26.0, 26.0]]])
    boxes = truth[:, 1:].expand(1, 16, 4).clone()
    labels, real = torch.tensor([[0, 1]]), torch.tensor([[True, True]])
    found = assign(torch.full((1, 16, 3), 0.5), boxes, centres, truth=truth, labels=labels, real=real)
    assert set(found.sign[found.taken].tolist()) == {1}


def test_assign_padding_takes_nothing() -> None:
    centres, _ = grid(32, 32, (8,))
    truth, labels = torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.long)
    found = assign(
        torch.full((1, 16, 3), 0.5),
        torch.zeros(1, 16, 4),
        centres,
        truth=truth,
        labels=labels,
        real=torch.zeros(1, 2, dtype=torch.bool),
    )
    assert not bool(found.taken.any())


def test_decode_certain_bins_give_exact_box() -> None:
    centres, sizes = grid(32, 32, (8,))
    logits = torch.full((16, 4, 8), -50.0)
    logits[:, :, 2] = 50.0
    boxes = decode_boxes(logits.reshape(16, 32), centres, sizes, 8)
    assert torch.allclose(boxes, torch.cat((centres - 16, centres + 16), dim=1))


def test_ciou_same_box_is_one_and_distant_box_is_negative() -> None:
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    assert float(ciou(box, box)) == pytest.approx(1.0, abs=1e-4)
    assert float(ciou(box, box + 100)) < 0


def test_pair_iou_half_overlap_is_a_third() -> None:
    a, b = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]]), torch.tensor([[[5.0, 0.0, 15.0, 10.0]]])
    assert float(pair_iou(a, b)) == pytest.approx(1 / 3)


def test_loss_false_alarm_costs_unless_class_is_not_annotated() -> None:
    raw = quiet()
    raw[0, 30, 1] = 8.0
    empty = targets([[0, 0, 0, 0]], [-1])
    assert loss(raw, empty) > 1.0
    assert loss(raw, targets([[0, 0, 0, 0]], [-1], [True, False, True])) < 0.1


def test_loss_ignored_box_is_no_background() -> None:
    raw = quiet()
    raw[0, 27, 1] = 8.0  # the cell at (28, 28)
    assert loss(raw, targets([[20, 20, 36, 36]], [-2])) < 0.1
    assert loss(raw, targets([[40, 40, 60, 60]], [-2])) > 1.0


def test_loss_without_signs_can_be_differentiated() -> None:
    raw = quiet().requires_grad_()
    boxes = torch.zeros(1, raw.shape[1], 4 * ARCH.bins, requires_grad=True)
    DetectionLoss(ARCH, 64, 64, torch.device("cpu"))((boxes, raw), targets([[0, 0, 0, 0]], [-1])).total.backward()
    assert raw.grad is not None
    assert bool(raw.grad.isfinite().all())
