"""Tries the GPU in a process of its own: a driver or an engine may hang the process that starts it, or end it.

`python -m edge_agent.perception.detector.tensorrt.trial SPEC` loads the bindings and opens the engine, if it is built.
"""

import json
import os
import sys
from pathlib import Path

from edge_agent.errors import EdgeAgentError
from edge_agent.perception.detector.tensorrt.bindings import GpuUnavailableError, installed
from edge_agent.perception.detector.tensorrt.selection import open_engine
from edge_agent.perception.detector.tensorrt.spec import EngineSpec, PostprocessOptions
from edge_agent.perception.detector.trial_process import run_trial

TRIAL_S = 30.0
"""Time for the GPU to start and to open an engine; a Jetson that has just booted takes up to twenty seconds."""

_NICE = 10  # a train drives meanwhile


def try_gpu(spec: EngineSpec) -> None:
    """Raise GpuUnavailableError where the GPU hangs, or ends the process that starts it. Blocks for TRIAL_S at most.

    Everything else that is wrong is reported where it is opened.
    """
    if not all(installed().values()):
        return
    words = json.dumps([str(spec.model), spec.precision, str(spec.folder), spec.needs_manifest])
    remedy = "look at `nvidia-smi` or `dmesg`, or set detector.backend to onnxruntime"
    code = run_trial(__name__, words, TRIAL_S)
    if code is None:
        raise GpuUnavailableError(f"the GPU does not answer within {TRIAL_S:g} s", remedy=remedy)
    if code < 0:
        raise GpuUnavailableError(f"the GPU ends the process that starts it (signal {-code})", remedy=remedy)


def _open(words: str) -> None:
    model, precision, folder, needs_manifest = json.loads(words)
    spec = EngineSpec(Path(model), precision, Path(folder), needs_manifest=needs_manifest)
    open_engine(spec, PostprocessOptions()).close()


if __name__ == "__main__":
    os.nice(_NICE)
    try:
        _open(sys.argv[1])
    except (EdgeAgentError, MemoryError):
        sys.exit(1)
