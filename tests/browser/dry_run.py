"""A dry run with its console on a free port, in a process of its own.

Its time limits are wide: a browser that starts at the same time uses all of a small machine for a while. A train that
brakes for that is right, but it is not what these tests are about.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import uuid_utils

from edge_agent.config import CommandSettings
from tests.support.http import call
from tests.support.proxy import free_port

TRACK = Path(__file__).parents[1] / "fixtures" / "tracks" / "console.yaml"
TOKEN = "a token for the console"  # noqa: S105 - of a train that does not exist
START_S = 150
HOLD_S = CommandSettings().hold_s
"""For this long after a stop, the train refuses every command that could move it."""

_WIDE_LIMITS = {
    "CAPTURE__MAX_AGE_MS": "5000",
    "CAPTURE__STALL_TIMEOUT_MS": "60000",
    "POLICY__CRUISE_POWER_PERCENT": "40",
    "GUARD__START_TIMEOUT_S": "300",
    "GUARD__LEASE_MS": "2000",
    "GUARD__LATCH_MS": "60000",
    "GUARD__LOOP_STALL_MS": "2000",
    "DETECTOR__THREADS": "1",
}


@dataclass
class DryRun:
    """A running agent; `train` is its id."""

    port: int
    process: asyncio.subprocess.Process
    train: str = "train-1"

    @classmethod
    async def start(cls, folder: Path, track: Path = TRACK, **settings: str) -> Self:
        """Start one, and wait until it serves; it writes into `folder`."""
        port = free_port()
        values = {**_WIDE_LIMITS, "CONSOLE__TOKEN": TOKEN, "STATE_DIR": str(folder / "state"), **settings}
        environment = {**os.environ, **{f"EDGE_AGENT_{key}": value for key, value in values.items()}}
        arguments = ["run", "--dry-run", "--layout", str(track), "--console", f"127.0.0.1:{port}"]
        with (folder / "agent.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "edge_agent", *arguments, cwd=folder, env=environment, stdout=log, stderr=log
            )
        run = cls(port, process)
        try:
            await run.until(lambda train: train["state"] is not None, START_S)
        except (TimeoutError, ProcessLookupError):
            await run.end()
            raise AssertionError(f"the dry run does not serve: {(folder / 'agent.log').read_text()}") from None
        return run

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def state(self) -> dict[str, Any] | None:
        """Return the train's state from the console, None if it does not respond."""
        try:
            answer = await call(self.port, f"/api/trains/{self.train}")
        except OSError:
            return None
        return json.loads(answer.body) if answer.status == 200 else None

    async def until(self, matches: Callable[[dict[str, Any]], bool], timeout_s: float = 60) -> dict[str, Any]:
        """Wait until the train's state matches, and return it; raises ProcessLookupError if its process has ended."""
        async with asyncio.timeout(timeout_s):
            while True:
                train = await self.state()
                if train is not None and matches(train):
                    return train
                if self.process.returncode is not None:
                    raise ProcessLookupError(f"the dry run has ended: {self.process.returncode}")
                await asyncio.sleep(0.1)

    async def until_guard(self, *states: str) -> dict[str, Any]:
        return await self.until(lambda train: train["state"]["guard"] in states)

    async def command(self, verb: str, **more: Any) -> Any:
        """Send a command without the page; return the answer."""
        body = {"verb": verb, "id": str(uuid_utils.uuid7()), "issued_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}
        headers = {"Content_Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        path = f"/api/trains/{self.train}/commands"
        return (await call(self.port, path, "POST", json.dumps(body | more).encode(), **headers)).json

    async def stop_and_hold(self) -> None:
        """Send an emergency stop, and wait until the train accepts to be re-armed."""
        await self.command("emergency_stop")
        await asyncio.sleep(HOLD_S)

    async def drive(self) -> None:
        """Get the train to drive from whatever state it is in."""
        await asyncio.sleep(HOLD_S)  # a test may just have stopped it
        train = await self.until_guard("disarmed", "armed_stopped", "running", "stopping", "fault_latched")
        if train["state"]["guard"] == "fault_latched":
            await self.command("rearm", reason="a test goes on")
            await self.until_guard("disarmed")
            await self.command("arm")
        await self.command("drive")
        await self.until_guard("running", "stopping")

    def freeze(self) -> None:
        """Suspend the process, like a machine that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume it."""
        self.process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        """Terminate it, by force if necessary; one that has ended by itself is left alone."""
        if self.process.returncode is not None:
            return
        self.thaw()
        self.process.terminate()
        try:
            async with asyncio.timeout(10):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
