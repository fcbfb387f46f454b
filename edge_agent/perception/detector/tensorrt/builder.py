"""Builds an engine: parses the ONNX, sets the builder up, listens to its progress, and answers with the engine.

Knows TensorRT's builder as it is from 10.3 to 11: networks are strongly typed, so the ONNX itself says what is computed
in which precision. Knows nothing of caches, and needs no CUDA context of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_agent.errors import FatalError

_KEPT = 20
_LONGEST = 300


class LogCollector:
    """The last complaints of TensorRT; `logger` is what its objects take. Lines may come from several threads.

    Keep the journal for as long as any object that was given its logger.
    """

    def __init__(self, trt: Any) -> None:
        self._lines: list[str] = []
        self.logger = _make_logger(trt, self._hear)

    def _hear(self, text: str) -> None:
        self._lines.append(text)
        del self._lines[:-_KEPT]

    def clear(self) -> None:
        """Forget what was said so far."""
        self._lines.clear()

    def reason(self) -> str:
        """Return the first complaint since the last `clear` in one line: those after it are mostly its consequences."""
        lines = [" ".join(line.split()) for line in self._lines]
        return lines[0][:_LONGEST] if lines else "TensorRT gave no reason"


def _make_logger(trt: Any, hear: Any) -> Any:
    severity = trt.ILogger.Severity
    severe = (severity.INTERNAL_ERROR, severity.ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]  # its base comes with the library
        """Hands errors on and drops the rest."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            """Take one line of TensorRT's."""
            if level in severe:
                hear(message)

    return Logger()


WORKSPACE_BYTES = 1 << 30
"""What a layer may use while it runs; a Jetson Orin Nano shares 8 GB with everything else."""

Progress = Callable[[str, float], bool]
"""Takes a phase and how much of the whole is done, 0..1; answers whether to go on."""


class BuildError(FatalError):
    """TensorRT cannot build an engine from this model here."""


class BuildStoppedError(FatalError):
    """Somebody asked for the build to stop."""


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """The engine, and the timing cache as the build left it."""

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

    `trt` is the module `tensorrt`, `profile` the shape of the input, where the model leaves it open. `prepare` may set
    more on the builder's configuration. Raises BuildError with TensorRT's own words, BuildStoppedError when `progress`
    answered False.
    """
    journal = LogCollector(trt)
    builder = _made(lambda: trt.Builder(journal.logger), journal, "TensorRT's builder does not start")
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, onnx, journal)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    _set_profile(builder, config, network, profile)
    _set_timings(config, timings)
    monitor = _make_monitor(trt, progress)
    config.progress_monitor = monitor
    prepare(config)
    journal.clear()
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        if monitor.stopped:
            raise BuildStoppedError("the build was stopped")
        raise BuildError(f"the engine cannot be built: {journal.reason()}", remedy="see docs/engines.md")
    kept = config.get_timing_cache()
    return BuiltEngine(bytes(memoryview(engine)), bytes(memoryview(kept.serialize())) if kept is not None else b"")


def _made(make: Callable[[], Any], journal: LogCollector, what: str) -> Any:
    try:
        return make()
    except (TypeError, RuntimeError) as error:  # pybind11 raises these where the library answers with nothing
        raise BuildError(f"{what}: {journal.reason()}", remedy="look at `edge-agent doctor`") from error


def _parse(trt: Any, network: Any, onnx: bytes, journal: LogCollector) -> None:
    parser = trt.OnnxParser(network, journal.logger)
    if parser.parse(onnx):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    at, reason = (errors[0].node_operator(), errors[0].desc()) if errors else ("", journal.reason())
    where = f" at the operator {at}" if at else ""
    raise BuildError(
        f"TensorRT cannot read the model{where}: {' '.join(reason.split())[:300]}",
        remedy="export it with other operators, or stay on ONNX Runtime",
    )


def _set_profile(builder: Any, config: Any, network: Any, shape: tuple[int, int, int, int]) -> None:
    """Fix what the model leaves open: one picture of one size."""
    source = network.get_input(0)
    if all(side >= 0 for side in source.shape):
        return
    profile = builder.create_optimization_profile()
    profile.set_shape(source.name, shape, shape, shape)
    config.add_optimization_profile(profile)


def _set_timings(config: Any, timings: bytes) -> None:
    """Hand over what earlier builds measured, or an empty cache where that is another machine's or version's."""
    for content in (timings, b""):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return


def _make_monitor(trt: Any, progress: Progress) -> Any:
    """Return TensorRT's listener; it may be called from several threads of the library."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # its base comes with the library
        """Adds up the outermost phase that runs: what is nested in it counts as a part of its step."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped = False
            self._open: dict[str, tuple[int, int, str]] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Hear that a phase begins."""
            self._open[phase_name] = (0, max(1, num_steps), parent_phase or "")

        def phase_finish(self, phase_name: str) -> None:
            """Hear that a phase is over."""
            self._open.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Hear of a step; tell whether to go on."""
            _, steps, parent = self._open.get(phase_name, (0, 1, ""))
            self._open[phase_name] = (step + 1, steps, parent)
            if not self.stopped and not progress(phase_name, self._share()):
                self.stopped = True
            return not self.stopped

        def _share(self) -> float:
            """Weigh each phase within one step of its parent."""
            share, width, inside = 0.0, 1.0, ""
            while True:
                phase = next((name for name, (_, _, parent) in self._open.items() if parent == inside), None)
                if phase is None:
                    return min(1.0, share)
                done, steps, _ = self._open[phase]
                share += width * min(done, steps) / steps
                width, inside = width / steps, phase

    return Monitor()
