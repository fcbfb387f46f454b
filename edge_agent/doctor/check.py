"""Checks and their results; runs all checks at once, each with a time limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from edge_agent.errors import EdgeAgentError
from edge_agent.runtime.threads import in_daemon_thread

T = TypeVar("T")


class Status(StrEnum):
    """How a check ended: `warn` drives, but worse or not for long; `fail` cannot do what the settings ask for."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found, and the remedy (empty with `ok`).

    `name` and `took_ms` are filled in by `run_checks`.
    """

    name: str
    status: Status
    message: str
    remedy: str = ""
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """A named check with a time limit; `look` returns a result or raises what prevented it."""

    name: str
    limit_s: float
    look: Callable[[], Awaitable[CheckResult]]


def ok(message: str) -> CheckResult:
    """Return a result that needs no action."""
    return CheckResult("", Status.OK, message)


def warn(message: str, remedy: str) -> CheckResult:
    """Return a result that works, but needs attention."""
    return CheckResult("", Status.WARN, message, remedy)


def fail(message: str, remedy: str) -> CheckResult:
    """Return a result that does not work."""
    return CheckResult("", Status.FAIL, message, remedy)


async def run_checks(checks: Sequence[Check]) -> tuple[CheckResult, ...]:
    """Run all checks at once and return their results in the order of the checks; never raises for a check."""
    return tuple(await asyncio.gather(*(_run(check) for check in checks)))


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking `work` in a daemon thread: one that hangs must not keep the command from ending."""
    return await in_daemon_thread(work, "doctor")


async def _run(check: Check) -> CheckResult:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(check.limit_s):
            result = await check.look()
    except TimeoutError:
        result = fail(f"no answer within {check.limit_s:g} s", "check whether the device or service hangs")
    except EdgeAgentError as error:
        result = fail(error.message, error.remedy)
    except Exception as error:  # noqa: BLE001 - a check that breaks must not hide the others' results
        result = fail(f"{type(error).__name__}: {error}", "report this as a bug of the agent")
    return replace(result, name=check.name, took_ms=round(1000 * (time.perf_counter() - started)))
