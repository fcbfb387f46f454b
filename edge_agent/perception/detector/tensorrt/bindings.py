"""Load TensorRT and pycuda, or say in one line why the GPU cannot be used."""

import importlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.errors import FatalError, install_remedy
from edge_agent.perception.detector.tensorrt.libcuda import load_libcuda, preload_tensorrt

OLDEST, NEWEST = (10, 3), (11,)
"""Range of supported versions, whose API is checked by `make tensorrt-api`."""

_INSTALL = f"on a Jetson make the venv with --system-site-packages; else {install_remedy('tensorrt')}"
_TEGRA = Path("/etc/nv_tegra_release")


class GpuUnavailableError(FatalError):
    """TensorRT cannot be used on this machine as it is; ONNX Runtime can."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """The modules `tensorrt` and `pycuda.driver`, and libcuda where ctypes finds it."""

    trt: Any
    driver: Any
    libcuda: Any | None


@dataclass(frozen=True, slots=True)
class GpuPlatform:
    """What an engine is bound to: TensorRT's full version, the GPU's name and compute capability, and Jetson Linux.

    `sm` is ten times the compute capability (87 for 8.7); `l4t` is empty where there is no Jetson Linux.
    """

    tensorrt: str
    gpu: str
    sm: int
    l4t: str


def installed() -> dict[str, bool]:
    """Return which of the two packages are installed, without importing them."""
    return {name: importlib.util.find_spec(name) is not None for name in ("tensorrt", "pycuda")}


def check_installed() -> None:
    """Raise GpuUnavailableError naming a missing package."""
    found = installed()
    match found["tensorrt"], found["pycuda"]:
        case False, False:
            raise GpuUnavailableError("neither TensorRT nor pycuda is installed", remedy=_INSTALL, missing="both")
        case False, True:
            raise GpuUnavailableError("pycuda is installed, but TensorRT is not", remedy=_INSTALL, missing="tensorrt")
        case True, False:
            remedy = "pip install pycuda (it is compiled: put nvcc on PATH)"
            raise GpuUnavailableError("TensorRT is installed, but pycuda is not", remedy=remedy, missing="pycuda")


def load_bindings() -> Bindings:
    """Import both, start the driver and look for a GPU; raises GpuUnavailableError with the reason.

    Takes seconds on a Jetson, most of the time without the interpreter lock.
    """
    check_installed()
    libcuda = load_libcuda()
    if libcuda is not None:
        libcuda.cuInit(0)
    try:
        driver = importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise GpuUnavailableError(
            f"pycuda finds no NVIDIA driver ({_first_line(error)})",
            remedy="install the driver, or the container toolkit",
        ) from error
    _start(driver)
    preload_tensorrt()
    try:
        trt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise GpuUnavailableError(f"TensorRT cannot be loaded ({_first_line(error)})", remedy=_INSTALL) from error
    _check_version(trt.__version__)
    return Bindings(trt, driver, libcuda)


def _start(driver: Any) -> None:
    """Start the driver; raises GpuUnavailableError where it does not start, is too old, or has no GPU."""
    try:
        driver.init()
        count, supported, required = driver.Device.count(), driver.get_driver_version(), driver.get_version()
    except driver.Error as error:
        raise GpuUnavailableError(
            f"the NVIDIA driver does not start ({_first_line(error)})", remedy="check nvidia-smi and dmesg"
        ) from error
    if supported // 1000 < required[0]:
        raise GpuUnavailableError(
            f"the NVIDIA driver is too old: it supports CUDA {supported // 1000}.{supported % 1000 // 10}, "
            f"pycuda was built for {required[0]}.{required[1]}",
            remedy="update the driver",
        )
    if count == 0:
        raise GpuUnavailableError("the NVIDIA driver finds no GPU", remedy="check nvidia-smi")


def _check_version(version: str) -> None:
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST or numbers[:1] > NEWEST:
        raise GpuUnavailableError(
            f"TensorRT {version} is not supported", remedy="install TensorRT 10.3 or later, up to 11"
        )


def gpu_platform(bindings: Bindings, tegra: Path = _TEGRA) -> GpuPlatform:
    """Return the platform of engines built here; needs no CUDA context."""
    device = bindings.driver.Device(0)
    major, minor = device.compute_capability()
    return GpuPlatform(bindings.trt.__version__, device.name(), 10 * major + minor, _l4t(tegra))


def _l4t(tegra: Path) -> str:
    """Read the release of Jetson Linux, like `R36.4.3`; empty elsewhere."""
    try:
        text = tegra.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.match(r"#\s*(R\d+).*?REVISION:\s*([\d.]+)", text)
    return ".".join(found.groups()) if found else text[:40].strip()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
