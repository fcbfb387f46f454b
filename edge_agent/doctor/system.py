"""Checks of the machine: Python and its cores, the state folder's disk, the clock, the GPU."""

import ctypes
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from edge_agent.config import Settings
from edge_agent.doctor.check import CheckResult, fail, in_thread, ok, warn
from edge_agent.perception.detector import engine_spec
from edge_agent.perception.detector.tensorrt import bindings as tensorrt
from edge_agent.perception.detector.tensorrt.cache import cache_dir
from edge_agent.perception.detector.tensorrt.selection import find_engine
from edge_agent.runtime.permissions import folder_problem

_MB = 1_000_000
_WARN_FACTOR = 10  # times the least free space: with less, warn before it runs short
_TIMEX_BYTES = 512  # struct timex takes 208 bytes on 64-bit Linux; its first word, `modes` 0, only reads
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_EARLIEST_UNIX_S = 1_767_225_600  # 2026-01-01: this code did not exist before
_CLOCK_REMEDY = "start chrony, ntpd or systemd-timesyncd"
_GPU_PATHS = ("proc/driver/nvidia/version", "dev/nvidia0", "dev/nvhost-gpu", "dev/nvgpu", "etc/nv_tegra_release")


async def check_python(cores: int) -> CheckResult:
    """Name the interpreter and count the cores that the detector and the control loop share."""
    message = f"Python {platform.python_version()} on {platform.machine()}, {cores} cores"
    if cores < 2:
        return warn(message, "give the agent two cores: the detector may delay the control loop on one")
    return ok(message)


async def check_disk(state: Path, least_mb: int) -> CheckResult:
    """Check that the state folder can be written to and has free space."""
    return await in_thread(lambda: _disk_result(state, least_mb))


def _disk_result(state: Path, least_mb: int) -> CheckResult:
    # os.access, not exists(): a folder below one that we may not enter counts as missing
    there = next(folder for folder in (state.absolute(), *state.absolute().parents) if os.access(folder, os.F_OK))
    if not there.is_dir():
        return fail(f"{state} cannot be written to: {there} is not a folder", "set state.directory")
    refused = folder_problem(there)
    if refused is not None:
        return fail(f"{state} cannot be written to: {refused.message}", refused.remedy)
    free_mb = shutil.disk_usage(there).free // _MB
    message = f"{free_mb} MB free for {state}"
    if free_mb < least_mb:
        return fail(message, f"free at least {least_mb} MB: with less, the train is not armed again")
    if free_mb < _WARN_FACTOR * least_mb:
        return warn(message, "free some space before the outbox and recordings fill the disk")
    return ok(message)


def kernel_clock_state() -> int | None:
    """Return what adjtimex(2) returns (0 to 5); None where the system does not support it."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state if state >= 0 else None


async def check_clock(
    read_state: Callable[[], int | None] = kernel_clock_state, unix_s: Callable[[], float] = time.time
) -> CheckResult:
    """Check that the wall clock is synchronised and plausible."""
    now_s = unix_s()
    if now_s < _EARLIEST_UNIX_S:
        return warn(f"the clock shows the year {time.gmtime(now_s).tm_year}", f"set it: {_CLOCK_REMEDY}")
    state = read_state()
    if state is None:
        return warn(
            "the system does not report whether the clock is synchronised", f"make sure that it is: {_CLOCK_REMEDY}"
        )
    if state == _TIME_ERROR:
        return warn("the clock is not synchronised: the times of events drift", _CLOCK_REMEDY)
    return ok("synchronised")


async def check_gpu(settings: Settings, root: Path = Path("/")) -> CheckResult:
    """Check for a GPU, TensorRT and pycuda by loading them; without them the detector is slower, but runs."""
    backend, found = settings.detector.backend, tensorrt.installed()
    present = any((root / path).exists() for path in _GPU_PATHS)
    if not present and not all(found.values()):
        message = "no NVIDIA GPU: the detector runs on the CPU"
        if backend == "tensorrt":
            return warn(message, "set detector.backend to auto")
        return ok(message)
    if backend in {"onnxruntime", "none"}:
        return ok(f"not used: detector.backend is {backend}")
    try:
        return ok(await in_thread(lambda: _load(settings)))
    except tensorrt.GpuUnavailableError as error:
        return warn(f"{error.message}: the detector runs on the CPU", error.remedy)


def _load(settings: Settings) -> str:
    """Describe the GPU, its software and the engine; raises GpuUnavailableError with what is missing."""
    bindings = tensorrt.load_bindings()
    machine, cuda = tensorrt.gpu_platform(bindings), bindings.driver.get_driver_version()
    engine, _ = find_engine(engine_spec(settings.detector, cache_dir(os.environ, settings.state.directory)), bindings)
    jetson = f", Jetson Linux {machine.l4t}" if machine.l4t else ""
    built = f"engine {engine.name}" if engine else "no engine yet: it is built while the train drives"
    return f"{machine.gpu}, TensorRT {machine.tensorrt}, CUDA {cuda // 1000}.{cuda % 1000 // 10}{jetson}; {built}"
