"""Check of the graphics processor and of what makes the detector use it.

Knows where Linux shows NVIDIA's devices, on a PC and on a Jetson. Knows nothing of engines or models, and imports no
GPU library: only looks whether it is there.
"""

import importlib.util
from pathlib import Path

from edge_agent.doctor.check import CheckResult, ok, warn

_TRACES = ("proc/driver/nvidia/version", "dev/nvidia0", "dev/nvhost-gpu", "dev/nvgpu", "etc/nv_tegra_release")
_LIBRARIES = ("tensorrt", "pycuda")


async def check_gpu(backend: str, root: Path = Path("/")) -> CheckResult:
    """Look for a GPU and TensorRT; what is missing costs speed, never the run."""
    present = any((root / trace).exists() for trace in _TRACES)
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if not present:
        message = "no NVIDIA GPU: the detector runs on the CPU"
        if backend == "tensorrt":
            return warn(message, "set detector.backend to auto")
        return ok(message)
    if missing:
        remedy = "on a Jetson make the venv with --system-site-packages; else pip install 'edge-agent[tensorrt]'"
        return warn(f"there is an NVIDIA GPU, but no {' and no '.join(missing)}", remedy)
    return ok("an NVIDIA GPU and TensorRT")
