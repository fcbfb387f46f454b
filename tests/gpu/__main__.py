"""Tries the TensorRT side on a real GPU and prints what it found, as Markdown for docs/: `python -m tests.gpu`.

Context, stream, pinned memory, threads, 10,000 inferences, every order of shutting down, and a swap while frames come.
Without a GPU it says in one line why, and exits 3. Each step runs in a process of its own: a context left behind aborts
at exit, and that must be seen.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edge_agent.perception.detector.tensorrt.bindings import GpuUnavailableError, gpu_platform, load_bindings
from edge_agent.runtime import resources
from tests.gpu import steps

NO_GPU = 3


def main() -> int:
    """Run all steps, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", choices=sorted(steps.STEPS))
    parser.add_argument("--engines", type=Path)
    parser.add_argument("--inferences", type=int, default=10_000)
    options = parser.parse_args()
    try:
        bindings = load_bindings()
    except GpuUnavailableError as error:
        print(f"no GPU to try: {error}")
        return NO_GPU
    if options.step:
        print(steps.STEPS[options.step](options.engines, options.inferences))
        return 0
    machine = gpu_platform(bindings)
    print(f"TensorRT {machine.tensorrt} on {machine.gpu} (SM {machine.sm}) {machine.l4t}, NumPy {np.__version__}, ")
    print(f"model {resources.engines_dir() / 'signs.onnx'}, {time.strftime('%Y-%m-%d')}\n")
    print("| step | seconds | found |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        return max(_in_a_process(name, Path(folder), options.inferences) for name in steps.STEPS)


def _in_a_process(name: str, engines: Path, inferences: int) -> int:
    began_s = time.monotonic()
    command = [sys.executable, "-m", "tests.gpu", "--step", name, "--engines", str(engines)]
    done = subprocess.run([*command, "--inferences", str(inferences)], capture_output=True, text=True, check=False)
    words = (done.stdout.strip() or done.stderr.strip() or "nothing").splitlines()[-1]
    verdict = words if done.returncode == 0 else f"FAILED ({done.returncode}): {words}"
    print(f"| {name} | {time.monotonic() - began_s:.1f} | {verdict} |", flush=True)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
