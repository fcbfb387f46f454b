"""The command line: parses and calls; nothing else. One file a command."""

import gc
import os
import sys


def main() -> None:
    """Run the program. `hub brake` goes straight to the brake: a service manager calls it when the agent has died."""
    if sys.argv[1:3] == ["hub", "brake"] and not {"-h", "--help"} & set(sys.argv):
        from edge_agent.hub import emergency

        sys.exit(emergency.main(sys.argv[3:]))
    # Read once a process, by whichever of FFmpeg's users comes first: its complaints are told as ours, in one line.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # ONNX Runtime would leave a device's identity in the home folder and report its use to its makers.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # pydantic would look through all installed packages for plugins, which takes time, and run what it finds.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if sys.argv[1:2] == ["run"]:
        gc.disable()  # code that is loaded leaves no garbage worth a search; `run` switches it on again
        # numpy's algebra, which a train does not need, starts a thread on each core; they spin while the rest loads.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edge_agent.cli.startup import load_structlog

    load_structlog()
    from edge_agent.cli.program import main as run_program

    try:
        run_program()
    finally:
        gc.enable()


__all__ = ["main"]
