"""The detector network: a small anchor-free feature pyramid in plain PyTorch, trained from scratch."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from edge_agent.signs import LABELS


@dataclass(frozen=True, slots=True)
class Architecture:
    """What must agree between two checkpoints for the weights of one to fit the other.

    `widths` are the channels at strides 2, 4, 8, 16 and 32; `depths` the residual blocks at strides 4, 8, 16 and 32;
    `bins` the resolution of a box side: each side lies between 0 and `bins - 1` strides from a cell's centre.
    """

    classes: int = len(LABELS)
    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 160)
    depths: tuple[int, int, int, int] = (1, 2, 2, 1)
    neck: tuple[int, int] = (64, 96)
    head: int = 48
    bins: int = 12
    strides: tuple[int, int] = (8, 16)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Architecture":
        """Read what `to_json` wrote; raises TypeError on unknown keys."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return cls(**values)


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU: ReLU because it costs nothing and quantises well."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Residual(nn.Module):
    """Two 3x3 convolutions with a skip connection."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = ConvBlock(channels, channels)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        y: Tensor = self.second(self.first(x))
        return x + y if self.shortcut else y


class SplitConvBlock(nn.Module):
    """A convolution block as two, one for each half of its channels: the same result without a split."""

    # ONNX Runtime keeps convolutions in a layout of its own, and a split would convert from that layout and back.

    def __init__(self, whole: ConvBlock) -> None:
        super().__init__()
        half = whole.conv.out_channels // 2
        self.left, self.right = (ConvBlock(whole.conv.in_channels, half, 1) for _ in range(2))
        for side, rows in ((self.left, slice(0, half)), (self.right, slice(half, None))):
            state = whole.state_dict().items()
            side.load_state_dict({name: value[rows] if value.ndim else value for name, value in state})

    def split(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W) -> two halves (B, outputs / 2, H, W)."""
        return [self.left(x), self.right(x)]


class CspStage(nn.Module):
    """A cross-stage partial block: half of the channels pass `depth` residuals, and all their outputs are mixed."""

    def __init__(self, inputs: int, outputs: int, depth: int, *, shortcut: bool = True) -> None:
        super().__init__()
        self.hidden = outputs // 2
        self.enter: ConvBlock | SplitConvBlock = ConvBlock(inputs, 2 * self.hidden, 1)
        self.blocks = nn.ModuleList(Residual(self.hidden, shortcut=shortcut) for _ in range(depth))
        self.leave = ConvBlock((2 + depth) * self.hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        enter = self.enter
        parts = enter.split(x) if isinstance(enter, SplitConvBlock) else list(enter(x).split(self.hidden, dim=1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        mixed: Tensor = self.leave(torch.cat(parts, dim=1))
        return mixed


class SppfBlock(nn.Module):
    """Fast spatial pyramid pooling: three 5x5 poolings of the coarsest map, mixed, give cells a wide context."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = ConvBlock(channels, channels // 2, 1)
        self.leave = ConvBlock(channels // 2 * 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(F.max_pool2d(parts[-1], 5, 1, 2))
        mixed: Tensor = self.leave(torch.cat(parts, dim=1))
        return mixed


class Head(nn.Module):
    """For each cell of one map: 4 x bins box logits and one logit per class."""

    def __init__(self, inputs: int, arch: Architecture) -> None:
        super().__init__()
        self.box_conv = ConvBlock(inputs, arch.head)
        self.box = nn.Conv2d(arch.head, 4 * arch.bins, 1)
        self.score_conv = ConvBlock(inputs, arch.head)
        self.score = nn.Conv2d(arch.head, arch.classes, 1)
        # Few cells contain a sign: an initial score of about 0.01 keeps background from dominating the first steps.
        nn.init.constant_(self.score.bias, -4.6)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, inputs, H, W) -> (B, H * W, 4 * bins) and (B, H * W, classes)."""
        return _cells(self.box(self.box_conv(x))), _cells(self.score(self.score_conv(x)))


def _cells(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C)."""
    # Sizes as plain numbers keep arithmetic on shapes out of the traced graph.
    batch, channels, cells = (int(x.shape[0]), int(x.shape[1]), int(x.shape[2]) * int(x.shape[3]))
    return x.reshape(batch, channels, cells).transpose(1, 2)


class SignNet(nn.Module):
    """Backbone to stride 32, a pyramid down to stride 8 and up to 16, one head each."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        w2, w4, w8, w16, w32 = arch.widths
        d4, d8, d16, d32 = arch.depths
        n8, n16 = arch.neck
        self.stem = ConvBlock(3, w2, 3, 2)
        self.stage4 = nn.Sequential(ConvBlock(w2, w4, 3, 2), CspStage(w4, w4, d4))
        self.stage8 = nn.Sequential(ConvBlock(w4, w8, 3, 2), CspStage(w8, w8, d8))
        self.stage16 = nn.Sequential(ConvBlock(w8, w16, 3, 2), CspStage(w16, w16, d16))
        self.stage32 = nn.Sequential(ConvBlock(w16, w32, 3, 2), CspStage(w32, w32, d32), SppfBlock(w32))
        self.down16 = CspStage(w32 + w16, n16, 1, shortcut=False)
        self.down8 = CspStage(n16 + w8, n8, 1, shortcut=False)
        self.lift16 = ConvBlock(n8, n8, 3, 2)
        self.up16 = CspStage(n8 + n16, n16, 1, shortcut=False)
        self.heads = nn.ModuleList((Head(n8, arch), Head(n16, arch)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) RGB in 0..1, sides multiples of 32 -> logits of N cells, the finer map first.

        Returns those of the boxes, (B, N, 4 * bins), and those of the scores, (B, N, classes).
        """
        f8 = self.stage8(self.stage4(self.stem(x)))
        f16 = self.stage16(f8)
        f32 = self.stage32(f16)
        t16 = self.down16(torch.cat((F.interpolate(f32, scale_factor=2.0), f16), dim=1))
        p8 = self.down8(torch.cat((F.interpolate(t16, scale_factor=2.0), f8), dim=1))
        p16 = self.up16(torch.cat((self.lift16(p8), t16), dim=1))
        fine, coarse = self.heads[0](p8), self.heads[1](p16)
        return torch.cat((fine[0], coarse[0]), dim=1), torch.cat((fine[1], coarse[1]), dim=1)

    def forked(self) -> "SignNet":
        """Return a copy for export, with SplitConvBlock where a block is split."""
        made = copy.deepcopy(self)
        for part in made.modules():
            if isinstance(part, CspStage) and isinstance(part.enter, ConvBlock):
                part.enter = SplitConvBlock(part.enter)
        return made


def grid(height: int, width: int, strides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the centres of the cells, (N, 2) x and y in pixels, and their strides, (N, 1), in the network's order."""
    centres, sizes = [], []
    for stride in strides:
        rows, columns = height // stride, width // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres.append((torch.stack((x, y), dim=-1).reshape(-1, 2).float() + 0.5) * stride)
        sizes.append(torch.full((rows * columns, 1), float(stride)))
    return torch.cat(centres), torch.cat(sizes)


def decode_boxes(box_logits: Tensor, centres: Tensor, strides: Tensor, bins: int) -> Tensor:
    """(..., N, 4 * bins) logits -> (..., N, 4) boxes as left, top, right, bottom in pixels.

    A side's distance is the expectation over its bins (distribution focal loss, Li et al. 2020, arXiv:2006.04388).
    """
    weights = box_logits.reshape(*(int(size) for size in box_logits.shape[:-1]), 4, bins).clamp(max=60.0).exp()
    # Softmax and expectation as one matrix product: a softmax over a dozen numbers is slow on a CPU.
    ramp = torch.arange(bins, dtype=weights.dtype, device=weights.device)
    sums = weights @ torch.stack((torch.ones_like(ramp), ramp), dim=1)
    distance = sums[..., 1] / sums[..., 0] * strides
    return torch.cat((centres - distance[..., :2], centres + distance[..., 2:]), dim=-1)


class ExportNet(nn.Module):
    """The network as it is exported: pixels in, centre-size boxes and scores out; static shape, without NMS.

    `shifts`, one per class, are added to the score logits, for labels that are rarer in reality than in training;
    `margin_px` widens boxes by that many input pixels on each side, because annotators draw around a sign while
    synthetic boxes end at its edge.
    """

    centres: Tensor
    sizes: Tensor
    shifts: Tensor

    def __init__(
        self, net: SignNet, height: int, width: int, *, shifts: Sequence[float] = (), margin_px: float = 0.0
    ) -> None:
        super().__init__()
        self.net = net
        self.margin_px = margin_px
        centres, sizes = grid(height, width, net.arch.strides)
        self.register_buffer("centres", centres)
        self.register_buffer("sizes", sizes)
        self.register_buffer("shifts", torch.tensor(list(shifts) or [0.0] * net.arch.classes))

    def forward(self, x: Tensor) -> Tensor:
        """(1, 3, H, W) -> (1, N, 4 + classes): centre x, centre y, width, height in pixels, then scores 0..1."""
        arch = self.net.arch
        box_logits, score_logits = self.net(x)
        corners = decode_boxes(
            box_logits.reshape(len(self.centres), 4 * arch.bins), self.centres, self.sizes, arch.bins
        )
        left_top, right_bottom = corners[:, :2], corners[:, 2:]
        size = (right_bottom - left_top) + 2 * self.margin_px
        boxes = torch.cat(((left_top + right_bottom) * 0.5, size), dim=-1)
        return torch.cat((boxes.unsqueeze(0), (score_logits + self.shifts).sigmoid()), dim=-1)
