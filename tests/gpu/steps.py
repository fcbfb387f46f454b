"""The steps of `python -m tests.gpu`, each run in a process of its own; each returns what it found, or raises.

They take the folder for engines (shared by all steps: the first one builds) and the number of inferences.
"""

import asyncio
import gc
import resource
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge_agent.agent.gpu_upgrade import GpuUpgrade
from edge_agent.errors import FatalError
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.perception.detector import OnnxDetector
from edge_agent.perception.detector.tensorrt.bindings import load_bindings
from edge_agent.perception.detector.tensorrt.build_process import build_in_process
from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest
from edge_agent.perception.detector.tensorrt.detector import PostprocessOptions, TensorRtDetector
from edge_agent.perception.detector.tensorrt.libcuda import load_libcuda
from edge_agent.perception.detector.tensorrt.selection import EngineSpec, find_engine
from edge_agent.perception.detector.tensorrt.verification import open_verified, sample_pictures
from edge_agent.perception.vision import CameraPicture
from edge_agent.pipeline import DetectorWorker
from edge_agent.runtime import resources

MODEL = resources.engines_dir() / "signs.onnx"


def _wanted(engines: Path, precision: str = "auto") -> EngineSpec:
    return EngineSpec(MODEL, precision, engines)


def _open(engines: Path) -> TensorRtDetector:
    bindings = load_bindings()
    engine, _ = find_engine(_wanted(engines), bindings)
    assert engine is not None, "the first step builds it"
    return TensorRtDetector(engine, bindings, PostprocessOptions())


def build(engines: Path, inferences: int) -> str:
    """Build each precision in a child process; compare each with ONNX Runtime."""
    bindings, told = load_bindings(), []
    for precision in ("fp32", "fp16", "int8"):
        began_s = time.monotonic()
        path, _ = asyncio.run(build_in_process(BuildRequest(str(MODEL), precision, str(engines))))
        took_s = time.monotonic() - began_s
        _, reference = find_engine(_wanted(engines, precision), bindings)
        assert reference is not None
        detector, found = open_verified(path, reference, bindings, PostprocessOptions(), sample_pictures())
        detector.close()
        told.append(
            f"{precision} in {took_s:.0f} s, {path.stat().st_size / 1e6:.1f} MB, IoU {found.worst_iou:.3f}, "
            f"score {found.worst_score:.3f}"
        )
    return "; ".join(told)


def context(engines: Path, inferences: int) -> str:
    """Open and close in one thread, fifty times: memory on the GPU must come back."""
    driver = load_bindings().driver
    free = []
    for _ in range(50):
        detector = _open(engines)
        detector.infer(sample_pictures()[0])
        detector.close()
        held = driver.Device(0).retain_primary_context()
        held.push()
        free.append(driver.mem_get_info()[0])
        driver.Context.pop()
        held.detach()
    lost_mb = (free[4] - free[-1]) / 2**20
    assert lost_mb < 8, f"{lost_mb:.1f} MiB were lost in 45 rounds"
    return f"50 rounds, {lost_mb:.1f} MiB lost after the fifth"


def threads(engines: Path, inferences: int) -> str:
    """Open, use and close in a thread of its own while another holds one too."""
    answers: list[int] = []

    def work() -> None:
        detector = _open(engines)
        answers.extend(len(detector.infer(picture)) for picture in sample_pictures())
        detector.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(answers) == 16
    assert sum(answers) % 2 == 0, "both saw the same"
    return f"two at once, {sum(answers)} signs seen"


def stamina(engines: Path, inferences: int) -> str:
    """Infer many times; tell the time of each and what memory grew."""
    detector, pictures = _open(engines), sample_pictures()
    expected = [detector.infer(picture) for picture in pictures]
    gc.collect()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took_ms = []
    for number in range(inferences):
        picture = pictures[number % len(pictures)]
        began_s = time.perf_counter()
        found = detector.infer(picture)
        took_ms.append(1000 * (time.perf_counter() - began_s))
        assert len(found) == len(expected[number % len(pictures)])
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    graphed = detector.uses_cuda_graph
    detector.close()
    cuts = statistics.quantiles(took_ms, n=100)
    return (
        f"{inferences} inferences, p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms, max "
        f"{max(took_ms):.2f} ms, CUDA graph {graphed}, memory grew by {grown_mb:.1f} MiB"
    )


def preparation(engines: Path, inferences: int) -> str:
    """Tell how much of a frame is the CPU's preparation of the picture: what a kernel on the GPU could save at most."""
    detector, picture = _open(engines), sample_pictures()[0]
    took_ms = []
    for _ in range(1000):
        began_s = time.perf_counter()
        detector._letterbox.fill(picture)
        took_ms.append(1000 * (time.perf_counter() - began_s))
    detector.close()
    return f"letterbox on the CPU, right into pinned memory: median {statistics.median(took_ms):.2f} ms"


def interpreter(engines: Path, inferences: int) -> str:
    """Open in a thread while another counts: the longest pause is how long the event loop would stand still."""
    gaps_ms, stop = [], threading.Event()

    def count() -> None:
        last_s = time.perf_counter()
        while not stop.is_set():
            time.sleep(0.001)
            now_s = time.perf_counter()
            gaps_ms.append(1000 * (now_s - last_s))
            last_s = now_s

    counter = threading.Thread(target=count)
    counter.start()
    with ThreadPoolExecutor(1) as pool:
        detector = pool.submit(_open, engines).result()
        pool.submit(detector.close).result()
    stop.set()
    counter.join()
    by_ctypes = load_libcuda() is not None
    return f"longest pause while an engine is opened {max(gaps_ms):.0f} ms (libcuda by ctypes: {by_ctypes})"


def leave_open(engines: Path, inferences: int) -> str:
    """Exit with a detector that nobody closed: the process must end all the same."""
    _KEPT.append(_open(engines))
    return "left open at exit"


def leave_by_exception(engines: Path, inferences: int) -> str:
    """Fail in the middle of opening, then open well."""
    bindings = load_bindings()
    bad = engines / "bad.engine"
    engine, _ = find_engine(_wanted(engines), bindings)
    assert engine is not None
    bad.write_bytes(b"\x02\x00\x00\x00{}" + b"nonsense")
    try:
        TensorRtDetector(bad, bindings, PostprocessOptions())
    except FatalError as error:
        first = str(error)
    detector = _open(engines)
    detector.close()
    return f"refused ({first[:60]}), then opened"


def swap(engines: Path, inferences: int) -> str:
    """Move a worker from ONNX Runtime to the GPU while frames come; count the frames that took too long."""
    faults: list[FaultReport] = []

    async def main() -> tuple[int, float, str]:
        picture, longest_ms, frames = sample_pictures()[0], 0.0, 0
        async with DetectorWorker(lambda: OnnxDetector(MODEL, threads=2)) as worker:
            move = GpuUpgrade(
                worker,
                _wanted(engines),
                PostprocessOptions(),
                required=True,
                faults=FaultReporter(faults.append, time.monotonic),
            )
            moving = asyncio.create_task(move.run())
            while not moving.done() or frames < 50:
                began_s = time.perf_counter()
                await worker.infer(CameraPicture(picture))
                longest_ms, frames = max(longest_ms, 1000 * (time.perf_counter() - began_s)), frames + 1
            return frames, longest_ms, worker.info.backend

    frames, longest_ms, backend = asyncio.run(main())
    assert backend == "tensorrt", faults
    return f"{frames} frames, the longest {longest_ms:.0f} ms, then on {backend}"


_KEPT: list[TensorRtDetector] = []

STEPS: dict[str, Callable[[Path, int], str]] = {
    "build": build,
    "context": context,
    "threads": threads,
    "stamina": stamina,
    "preparation": preparation,
    "interpreter": interpreter,
    "leave open": leave_open,
    "leave by exception": leave_by_exception,
    "swap": swap,
}
