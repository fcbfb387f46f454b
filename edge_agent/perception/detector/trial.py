"""Tries a model in a process of its own: one may hang ONNX Runtime, or end the process that loads it.

`python -m edge_agent.perception.detector.trial MODEL` opens it and runs it once.
"""

import sys
from pathlib import Path

from edge_agent.errors import ConfigError, EdgeAgentError
from edge_agent.perception.detector.onnx import OnnxDetector
from edge_agent.perception.detector.tensorrt.spec import ENGINE_SUFFIXES
from edge_agent.perception.detector.trial_process import run_trial

TRIAL_S = 10.0
"""Time for a model to be loaded and to answer once; ours take half a second on a small machine."""


def try_model(model: Path | None, timeout_s: float = TRIAL_S) -> None:
    """Raise ConfigError for an ONNX file that does not answer in time, or ends the process; `None`: the shipped one.

    Everything else that is wrong with it is reported where it is opened.
    """
    if model is None or model.suffix in ENGINE_SUFFIXES:
        return
    remedy = "export it again, without loops"
    code = run_trial(__name__, str(model), timeout_s)
    if code is None:
        raise ConfigError(f"{model}: the model does not answer within {timeout_s:g} s", remedy=remedy)
    if code < 0:
        raise ConfigError(f"{model}: the model ends the process that runs it (signal {-code})", remedy=remedy)


if __name__ == "__main__":
    try:
        OnnxDetector(Path(sys.argv[1])).close()
    except (EdgeAgentError, MemoryError):
        sys.exit(1)
