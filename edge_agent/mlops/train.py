"""The training loop: from batches to weights, with AdamW, a schedule and a running average; resumable at any report."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from edge_agent.errors import ConfigError, FatalError
from edge_agent.mlops import run_state
from edge_agent.mlops.loss import DetectionLoss, Losses
from edge_agent.mlops.network import SignNet
from edge_agent.mlops.sampler import Batch, Sampler, stream


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Hyperparameters; lengths are counted in samples.

    `samples` is the length of the whole run: resuming with another value moves the learning rate's decay with it.
    `rate` is the highest learning rate, `decay` the weight decay. The rate is level until the fraction `hold` of the
    run; from the fraction `calm` on, mosaics are rare. `average` is the decay of the running average. A report follows
    every `report` samples, a validation every `judge`.
    """

    samples: int
    batch: int = 16
    seed: int = 0
    rate: float = 2e-3
    decay: float = 0.02
    warm_up: int = 4000
    hold: float = 0.7
    calm: float = 0.85
    average: float = 0.999
    report: int = 1600
    judge: int = 16000
    bf16: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """Contents of a report."""

    samples: int
    total: int
    line: run_state.LogLine


Validate = Callable[[SignNet], tuple[float, float]]
"""Returns a network's AP50 and AP50-95 on the validation split."""


def rate_at(settings: TrainingSettings, samples: int) -> float:
    """Return the learning rate: a linear warm-up, level until `hold` of the run, then half a cosine to a hundredth.

    Because of the long level part a run can be stopped anywhere and resumed with another `samples`.
    """
    if samples < settings.warm_up:
        return settings.rate * (samples + settings.batch) / (settings.warm_up + settings.batch)
    level = settings.hold * settings.samples
    if samples <= level:
        return settings.rate
    part = min((samples - level) / max(settings.samples - level, 1), 1.0)
    return settings.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * part)) / 2)


def optimiser_for(net: SignNet, settings: TrainingSettings) -> torch.optim.AdamW:
    """Return AdamW with weight decay on convolutions, but not on norms and biases."""
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": settings.decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.99))


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the running average towards the network's weights; integer counters are copied."""
    for mine, theirs in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1 - decay)
        else:
            mine.copy_(theirs)


class Trainer:
    """One run in one folder: `last.pt`, `log.csv`, `log.png`."""

    def __init__(
        self, net: SignNet, sampler: Sampler, settings: TrainingSettings, out: Path, device: torch.device
    ) -> None:
        self.settings, self.sampler, self.out, self.device = settings, sampler, out, device
        self.net: SignNet = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: SignNet = copy.deepcopy(net).eval()
        self.optimiser = optimiser_for(self.net, settings)
        self.loss = DetectionLoss(net.arch, sampler.height, sampler.width, device)
        self.samples = 0
        self.lines: list[run_state.LogLine] = []

    def resume(self) -> None:
        """Continue from the folder's `last.pt`; raises ConfigError where it does not fit this run."""
        path = self.out / "last.pt"
        found = run_state.load_checkpoint(path)
        run_state.require_same(found.arch, self.net.arch, path)
        for key in ("seed", "batch"):
            if found.settings.get(key) != getattr(self.settings, key):
                raise ConfigError(
                    f"{path} was trained with {key} {found.settings.get(key)}, not {getattr(self.settings, key)}",
                    remedy=f"resume with the same --{key}",
                )
        if found.optimiser is None:
            raise ConfigError(f"{path} holds weights only", remedy="start a new run from it with --init")
        self.net.load_state_dict(found.model)
        self.average.load_state_dict(found.average)
        self.optimiser.load_state_dict(found.optimiser)
        self.samples = found.samples
        self.lines = [line for line in run_state.read_log(self.out / "log.csv") if line.samples <= found.samples]

    def save(self) -> None:
        """Write checkpoint and log; the plot, which takes a second, only after a validation."""
        state = run_state.Checkpoint(
            self.net.arch,
            self.net.state_dict(),
            self.average.state_dict(),
            self.optimiser.state_dict(),
            self.samples,
            asdict(self.settings),
        )
        run_state.save_checkpoint(self.out / "last.pt", state)
        run_state.write_log(self.out / "log.csv", self.lines)
        if self.lines and self.lines[-1].ap50 is not None:
            run_state.plot_log(self.out / "log.png", self.lines)

    def run(
        self, validate: Validate | None = None, report: Callable[[Progress], None] = lambda progress: None
    ) -> SignNet:
        """Train to the end of the run and return the running average.

        `validate` rates the average every `settings.judge` samples. Raises FatalError when the gradient is no longer a
        finite number.
        """
        s = self.settings
        meter = _Meter(self.lines[-1].elapsed_s if self.lines else 0.0)
        calm_from = int(s.calm * s.samples)
        for batch in stream(self.sampler, self.samples, s.samples, s.batch, calm_from):
            meter.add(self.step(batch), len(batch.pixels))
            done = self.samples >= s.samples
            if done or self.samples % s.report < s.batch:
                rated = (
                    validate(self.average) if validate and (done or self.samples % s.judge < s.batch) else (None, None)
                )
                self.lines.append(meter.line(self.samples, rated))
                self.save()
                report(Progress(self.samples, s.samples, self.lines[-1]))
        return self.average

    def step(self, batch: Batch) -> Losses:
        """Run one step of the optimiser and of the running average."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.settings, self.samples)
        self.net.train()
        pixels = batch.pixels.to(self.device).float().div_(255).contiguous(memory_format=torch.channels_last)
        # bfloat16 takes half the time on a CPU with AMX, and unlike float16 it needs no loss scaling.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bf16):
            raw = self.net(pixels)
        losses = self.loss(raw, batch.targets.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        if not bool(norm.isfinite()):
            raise FatalError(
                f"the training diverged at sample {self.samples}: the gradient is not a number",
                remedy="resume from last.pt with a lower --rate",
            )
        self.optimiser.step()
        self.samples += len(batch.pixels)
        steps = self.samples / self.settings.batch
        update_average(self.average, self.net, self.settings.average * (1 - math.exp(-steps / 300)))
        return losses


class _Meter:
    """Accumulates losses and time between two reports."""

    def __init__(self, elapsed_s: float) -> None:
        self.elapsed_s, self.since_s = elapsed_s, time.monotonic()
        self.sums, self.count, self.seen = [0.0, 0.0, 0.0], 0, 0

    def add(self, losses: Losses, samples: int) -> None:
        for index, value in enumerate((losses.score, losses.overlap, losses.side)):
            self.sums[index] += float(value.detach())
        self.count += 1
        self.seen += samples

    def line(self, samples: int, rated: tuple[float | None, float | None]) -> run_state.LogLine:
        """Return the log line of what was accumulated, and reset."""
        now_s = time.monotonic()
        span_s = now_s - self.since_s
        self.elapsed_s += span_s
        score, overlap, side = (value / max(self.count, 1) for value in self.sums)
        speed = self.seen / max(span_s, 1e-9)
        line = run_state.LogLine(samples, self.elapsed_s, speed, score, overlap, side, *rated)
        self.since_s, self.sums, self.count, self.seen = now_s, [0.0, 0.0, 0.0], 0, 0
        return line
