"""Boots the system in user-mode Linux, runs one job in it, and takes its output and files back."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .build import HERE, CannotRunError, preload

MEMORY_MB = 1800
SILENT_LIMIT_S = 150.0
"""A machine that prints nothing for so long has hung: every job prints a line more often."""

CRASHED = 70
"""Status of a job whose machine ended before it."""

CRASHES = ("panic", "BUG", "WARNING", "RIP:", "Oops", "segfault")
"""What a kernel says when it ends before its time."""

NICE = -10
"""What is measured inside is not to wait for what else this machine does."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """Exit status of a job, what it printed, and the files that it left in /srv/bench/out, by name."""

    status: int
    output: str
    files: Mapping[str, bytes]


def run_job(kernel: Path, disk: Path, job: str, *, limit_s: float, memory_mb: int = MEMORY_MB) -> JobResult:
    """Boot, run the shell script `job` as root, switch off. Its output is passed on line by line.

    The disk is not changed: what is written goes to a file of this run. A machine that hangs is ended. Raises
    CannotRunError if the machine does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="edge-agent-device-") as name:
        share = Path(name) / "share"
        (share / "out").mkdir(parents=True)
        shutil.copytree(HERE, share / "device", ignore=shutil.ignore_patterns("__pycache__", "test_*"))
        (share / "job").write_text(job)
        console = (Path(name) / "console").open("wb")
        reading, writing = os.pipe()
        with console, os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            machine = subprocess.Popen(
                _command(kernel, disk, Path(name), share, writing, memory_mb),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                cwd=name,
                start_new_session=True,
                env=_environment(name),
            )
            os.close(writing)
            _prefer(machine.pid)
            output: list[str] = []
            reader = threading.Thread(target=_pass_on, args=(lines, output), daemon=True)
            reader.start()
            try:
                _wait(machine, output, limit_s)
            finally:
                _end(machine)
            reader.join(5)
        return _result(share, Path(name) / "console", "".join(output))


def _command(kernel: Path, disk: Path, home: Path, share: Path, output: int, memory_mb: int) -> list[str]:
    return [
        str(kernel),
        f"ubd0={home / 'changes'},{disk}",
        "root=/dev/ubda",
        "rw",
        f"mem={memory_mb}M",
        f"umid={home.name}",
        f"uml_dir={home}",
        f"hostfs={share}",
        "con=null",
        "con0=null,fd:1",
        f"con1=null,fd:{output}",
        "ssl=null",
        "vivid.n_devs=1",
        "vivid.node_types=0x1",  # a camera alone
        "quiet",
        "systemd.show_status=no",
        "loglevel=4",
    ]


def _wait(machine: "subprocess.Popen[bytes]", output: list[str], limit_s: float) -> None:
    """Wait until a machine is done, has said nothing for too long, or has had its time."""
    began_s = spoke_s = time.monotonic()
    said = 0
    while machine.poll() is None and time.monotonic() < min(began_s + limit_s, spoke_s + SILENT_LIMIT_S):
        time.sleep(0.2)
        if len(output) > said:
            said, spoke_s = len(output), time.monotonic()


def _prefer(pid: int) -> None:
    """Raise the priority of a session; a kernel that shares time among sessions looks at the session's own value."""
    os.setpriority(os.PRIO_PROCESS, pid, NICE)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text(str(NICE))


def _environment(home: str) -> dict[str, str]:
    library = preload()
    preloaded = {} if library is None else {"LD_PRELOAD": str(library)}
    return {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": _memory_folder(), **preloaded}


def _memory_folder() -> str:
    """Return a folder in memory from which programs can be mapped: the guest's memory is a file in it."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()  # noqa: S108 - unlinked at once


def _pass_on(lines, output: list[str]) -> None:
    for line in lines:
        clean = line.replace("\r", "")
        output.append(clean)
        sys.stdout.write(clean)
        sys.stdout.flush()


def _end(machine: "subprocess.Popen[bytes]") -> None:
    """End what is left of the machine: its processes are ours, and in a session of their own."""
    if machine.poll() is None:
        os.killpg(machine.pid, 9)
        machine.wait()


def _result(share: Path, console: Path, output: str) -> JobResult:
    """Return what a job left; raises CannotRunError where the machine ended before it left anything."""
    files = {path.name: path.read_bytes() for path in (share / "out").iterdir()}
    status = share / "status"
    if status.exists():
        return JobResult(int(status.read_text()), output, files)
    lines = [line.strip() for line in console.read_text(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if any(word in line for word in CRASHES)] or lines[-1:] or ["nothing"]
    reason = f"the machine ended or hung before its job was done; its console says: {' | '.join(said[:4])}"
    if not files:
        raise CannotRunError(reason)
    print(f"device: {reason}", file=sys.stderr)
    return JobResult(CRASHED, output, files)
