"""Checks of the machine: Python and its cores, the disk under the state folder.

Knows the standard library. Knows nothing of the train.
"""

import os
import platform
import shutil
from pathlib import Path

from edge_agent.access import folder_refusal
from edge_agent.doctor.check import CheckResult, fail, in_thread, ok, warn

_MB = 1_000_000
_ROOM = 10  # times the least free space: below this somebody should clear up before it is short


async def check_python(cores: int) -> CheckResult:
    """Name the interpreter and count the cores that the detector and the control loop share."""
    message = f"Python {platform.python_version()} on {platform.machine()}, {cores} cores"
    if cores < 2:
        return warn(message, "give the agent two cores: the detector may delay the control loop on one")
    return ok(message)


async def check_disk(state: Path, least_mb: int) -> CheckResult:
    """Look whether the state folder can be written to and has room."""
    return await in_thread(lambda: _look(state, least_mb))


def _look(state: Path, least_mb: int) -> CheckResult:
    # os.access, not exists(): a folder inside one that we may not enter counts as not there
    there = next(folder for folder in (state.absolute(), *state.absolute().parents) if os.access(folder, os.F_OK))
    if not there.is_dir():
        return fail(f"{state} cannot be written to: {there} is no folder", "set state.directory")
    refused = folder_refusal(there)
    if refused is not None:
        return fail(f"{state} cannot be written to: {refused.message}", refused.remedy)
    free_mb = shutil.disk_usage(there).free // _MB
    message = f"{free_mb} MB free for {state}"
    if free_mb < least_mb:
        return fail(message, f"free at least {least_mb} MB: with less the train is not armed anew")
    if free_mb < _ROOM * least_mb:
        return warn(message, "free some space before the outbox and recordings fill it")
    return ok(message)
