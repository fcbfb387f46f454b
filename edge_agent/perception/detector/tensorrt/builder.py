"""Build a TensorRT engine from an ONNX file, with progress.

For TensorRT 10.3 to 11: networks are strongly typed, so the ONNX file itself determines the precision of each layer.
Needs no CUDA context of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_agent.errors import FatalError

_MAX_LENGTH = 300


class LogCollector:
    """Collects the errors that TensorRT logs, from any thread; pass `logger` to its objects.

    It must outlive every object that has its logger.
    """

    def __init__(self, trt: Any) -> None:
        self._lines: list[str] = []
        self.logger = _make_logger(trt, self._append)

    def _append(self, text: str) -> None:
        self._lines.append(text)
        del self._lines[:-20]

    def clear(self) -> None:
        """Discard the errors so far."""
        self._lines.clear()

    def reason(self) -> str:
        """Return the first error since the last `clear`, in one line."""
        # Later ones are mostly consequences of the first.
        lines = [" ".join(line.split()) for line in self._lines]
        return lines[0][:_MAX_LENGTH] if lines else "TensorRT gave no reason"


def _make_logger(trt: Any, append: Any) -> Any:
    severity = trt.ILogger.Severity
    severe = (severity.INTERNAL_ERROR, severity.ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]  # its base comes with the library
        """Passes errors on and drops the rest."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            if level in severe:
                append(message)

    return Logger()


Progress = Callable[[str, float], bool]
"""Receives a phase and the share of the whole that is done, 0..1; returns whether to continue."""


class BuildError(FatalError):
    """TensorRT cannot build an engine from this model here."""


class BuildStoppedError(FatalError):
    """The build was stopped by its progress callback."""


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """The engine, and the timing cache after the build."""

    engine: bytes
    timings: bytes


def build(
    trt: Any,
    onnx: bytes,
    profile: tuple[int, int, int, int],
    *,
    timings: bytes = b"",
    progress: Progress = lambda phase, share: True,
    prepare: Callable[[Any], None] = lambda config: None,
) -> BuiltEngine:
    """Build an engine for the GPU of this machine.

    `trt` is the module `tensorrt`, `profile` the shape of the input where the model has dynamic axes. `prepare` may
    configure the builder further. Raises BuildError with TensorRT's message, BuildStoppedError when `progress`
    returned False.
    """
    log = LogCollector(trt)
    builder = _create(lambda: trt.Builder(log.logger), log, "TensorRT's builder does not start")
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, onnx, log)
    config = builder.create_builder_config()
    # Memory that a layer may use while it runs; a Jetson Orin Nano shares 8 GB with everything else.
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 30)
    _set_profile(builder, config, network, profile)
    _set_timings(config, timings)
    monitor = _make_monitor(trt, progress)
    config.progress_monitor = monitor
    prepare(config)
    log.clear()
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        if monitor.stopped:
            raise BuildStoppedError("the build was stopped")
        raise BuildError(f"the engine cannot be built: {log.reason()}", remedy="see docs/engines.md")
    kept = config.get_timing_cache()
    return BuiltEngine(bytes(memoryview(engine)), bytes(memoryview(kept.serialize())) if kept is not None else b"")


def _create(make: Callable[[], Any], log: LogCollector, what: str) -> Any:
    try:
        return make()
    except (TypeError, RuntimeError) as error:  # pybind11 raises these where the library returns null
        raise BuildError(f"{what}: {log.reason()}", remedy="run `edge-agent doctor`") from error


def _parse(trt: Any, network: Any, onnx: bytes, log: LogCollector) -> None:
    parser = trt.OnnxParser(network, log.logger)
    if parser.parse(onnx):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    at, reason = (errors[0].node_operator(), errors[0].desc()) if errors else ("", log.reason())
    where = f" at the operator {at}" if at else ""
    raise BuildError(
        f"TensorRT cannot read the model{where}: {' '.join(reason.split())[:300]}",
        remedy="export it with other operators, or stay on ONNX Runtime",
    )


def _set_profile(builder: Any, config: Any, network: Any, shape: tuple[int, int, int, int]) -> None:
    """Fix dynamic axes to one picture of one size."""
    source = network.get_input(0)
    if all(side >= 0 for side in source.shape):
        return
    profile = builder.create_optimization_profile()
    profile.set_shape(source.name, shape, shape, shape)
    config.add_optimization_profile(profile)


def _set_timings(config: Any, timings: bytes) -> None:
    """Use the timings of earlier builds, or an empty cache where those are of another machine or version."""
    for content in (timings, b""):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return


def _make_monitor(trt: Any, progress: Progress) -> Any:
    """Return a progress monitor; TensorRT may call it from several threads."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # its base comes with the library
        """Sums up the outermost running phase; a nested phase counts as a part of its parent's step."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped = False
            self._open: dict[str, tuple[int, int, str]] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._open[phase_name] = (0, max(1, num_steps), parent_phase or "")

        def phase_finish(self, phase_name: str) -> None:
            self._open.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Record a step; return whether to continue."""
            _, steps, parent = self._open.get(phase_name, (0, 1, ""))
            self._open[phase_name] = (step + 1, steps, parent)
            if not self.stopped and not progress(phase_name, self._share()):
                self.stopped = True
            return not self.stopped

        def _share(self) -> float:
            """Return the share that is done, each phase weighted within one step of its parent."""
            share, width, inside = 0.0, 1.0, ""
            while True:
                phase = next((name for name, (_, _, parent) in self._open.items() if parent == inside), None)
                if phase is None:
                    return min(1.0, share)
                done, steps, _ = self._open[phase]
                share += width * min(done, steps) / steps
                width, inside = width / steps, phase

    return Monitor()
