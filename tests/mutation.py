"""Mutation tests of guard.py with cosmic-ray: `make mutation`.

cosmic-ray works on a copy in a temporary folder, so that no mutant appears in the tree. A surviving mutant must be
listed in EXPLAINED, with the reason why it changes nothing; exit code 1 if one is not, or if an entry is obsolete. The
hypothesis test of random histories is excluded: examples that it saved for one mutant would affect the next.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = "edge_agent/control/guard.py"
TESTS = ("tests/control/test_guard.py", "tests/control/test_guard_edges.py")
NEEDED = ("edge_agent", *TESTS, "tests/conftest.py", "tests/allowed-skips.txt", "tests/support", "pyproject.toml")

CONFIG = """
[cosmic-ray]
module-path = "{target}"
timeout = 120.0
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider -p no:xdist -k 'not any_history' {tests}"

[cosmic-ray.distributor]
name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = [{excluded}]
"""

EXCLUDED = ("core/ReplaceComparisonOperator_Is_Eq", "core/ReplaceComparisonOperator_IsNot_NotEq")
"""Operators without effect: enumeration members, and None, are equal exactly if they are identical."""

EXPLAINED: dict[tuple[str, str], str] = {
    (
        "@dataclass(frozen=True, slots=True)",
        "@dataclass(frozen=True, slots=False)",
    ): "slots save memory and catch typing errors; nothing a test relies on",
    (
        "case Order.ARM if memory.state is GuardState.DISARMED and not inputs.health.arm_trouble:",
        "case Order.ARM if memory.state <= GuardState.DISARMED and not inputs.health.arm_trouble:",
    ): "only `armed_stopped` comes before `disarmed` as text, and entering the current state does nothing",
    (
        "case Order.DRIVE if memory.state is not GuardState.STOPPING:",
        "case Order.DRIVE if memory.state < GuardState.STOPPING:",
    ): "no state comes after `stopping` as text",
    (
        "latches = by in _LATCHING or (by is Priority.FRESHNESS and _blind_too_long(memory, inputs, limits))",
        "latches = by in _LATCHING or (by >= Priority.FRESHNESS and _blind_too_long(memory, inputs, limits))",
    ): "evidence that is too old also raises FRESHNESS, which comes before all later rules and latches first",
    (
        "if state is GuardState.STOPPING and _is_stationary(memory, inputs.now_s, limits):",
        "if state >= GuardState.STOPPING and _is_stationary(memory, inputs.now_s, limits):",
    ): "no state comes after `stopping` as text",
}
"""Equivalent mutants: (line, mutated line) to the reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy, mutate, test and compare with EXPLAINED."""
    parser = argparse.ArgumentParser(description="Mutation tests of guard.py.")
    parser.add_argument("--cosmic-ray", type=Path, required=True, help="the folder of its programs")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _copy(work)
        survivors, tried = _try_all(work, asked.cosmic_ray.absolute())
    unexplained = [survivor for survivor in survivors if survivor not in EXPLAINED]
    idle = [explained for explained in EXPLAINED if explained not in survivors]
    print(f"{tried} mutants, {tried - len(survivors)} killed, {len(survivors) - len(unexplained)} survive explained")
    for before, after in unexplained:
        print(f"survives:\n  - {before}\n  + {after}")
    for before, after in idle:
        print(f"explained, but does not survive:\n  - {before}\n  + {after}")
    return int(bool(unexplained or idle))


def _copy(work: Path) -> None:
    for name in NEEDED:
        source, target = ROOT / name, work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    excluded = ", ".join(f'"{name}"' for name in EXCLUDED)
    config = CONFIG.format(target=TARGET, python=sys.executable, tests=" ".join(TESTS), excluded=excluded)
    (work / "config.toml").write_text(config, encoding="utf-8")


def _try_all(work: Path, programs: Path) -> tuple[list[tuple[str, str]], int]:
    """Run every mutant; return the survivors as (line, mutated line), and how many were tried."""

    def call(program: str, *words: str) -> str:
        done = subprocess.run([programs / program, *words], cwd=work, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    call("cosmic-ray", "baseline", "config.toml")
    call("cosmic-ray", "init", "config.toml", "session.sqlite")
    call("cr-filter-operators", "session.sqlite", "config.toml")
    call("cosmic-ray", "exec", "config.toml", "session.sqlite")
    results = [json.loads(line)[1] for line in call("cosmic-ray", "dump", "session.sqlite").splitlines()]
    tried = [result for result in results if result is not None and result["worker_outcome"] == "normal"]
    return [_change(result["diff"]) for result in tried if result["test_outcome"] == "survived"], len(tried)


def _change(diff: str) -> tuple[str, str]:
    """Return the line that was changed, and what it became; several lines are joined."""
    lines = diff.splitlines()
    before = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    after = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
    return " / ".join(before), " / ".join(after)


if __name__ == "__main__":
    sys.exit(main())
