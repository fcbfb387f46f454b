"""Mutation tests: `make mutation`. cosmic-ray changes guard.py; then the order of control's steps is changed.

cosmic-ray knows no statement that is missing or comes too late, which is what can go wrong between an order and the
motor. So each statement of the functions in ORDERED is dropped, and each is swapped with the next.

It works on a copy in a temporary folder, so that no mutant appears in the tree. A surviving mutant must be listed in
EXPLAINED, with the reason why it changes nothing; exit code 1 if one is not, or if an entry is obsolete. The hypothesis
test of random histories is excluded: examples that it saved for one mutant would affect the next.
"""

import argparse
import ast
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = "edge_agent/control/guard.py"
TESTS = ("tests/control/test_guard.py", "tests/control/test_guard_edges.py")
NEEDED = ("edge_agent", "config", "tests", "pyproject.toml")

ORDERED = {
    "edge_agent/pipeline/control.py": {"order", "step", "set_capture_stopped", "on_prediction", "_arm_automatically"},
    "edge_agent/agent/commands.py": {"execute"},
    "edge_agent/control/commands/handler.py": {"submit", "_settle"},
    "edge_agent/control/commands/authorizer.py": {"authorize", "check_again"},
}
ORDERED_TESTS = (
    "tests/agent/test_orders.py",
    "tests/agent/test_commands.py",
    "tests/pipeline/test_control.py",
    "tests/control/commands",
)

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
        "case Order.ARM if memory.state is GuardState.DISARMED:",
        "case Order.ARM if memory.state <= GuardState.DISARMED:",
    ): "only `armed_stopped` comes before `disarmed` as text, and entering the current state does nothing",
    (
        "if order is Order.ARM and state is GuardState.DISARMED and health.arm_trouble:",
        "if order <= Order.ARM and state is GuardState.DISARMED and health.arm_trouble:",
    ): "no order comes before `arm` as text",
    (
        "evidence_s = inputs.health.evidence_s if by is Priority.FRESHNESS else inputs.health.unanswered_s",
        "evidence_s = inputs.health.evidence_s if by <= Priority.FRESHNESS else inputs.health.unanswered_s",
    ): "there are only FRESHNESS and, after it, HUB_SILENT here",
    (
        "if by is Priority.HUB_SILENT:",
        "if by >= Priority.HUB_SILENT:",
    ): "there are only HUB_SILENT and, before it, FRESHNESS here",
    (
        "if state is GuardState.STOPPING and _is_stationary(memory, inputs.now_s, limits):",
        "if state >= GuardState.STOPPING and _is_stationary(memory, inputs.now_s, limits):",
    ): "no state comes after `stopping` as text",
    (
        "self.step()  # the guard answers by what is known now",
        "comes after: if self._closed:",
    ): "a control that is closed does nothing in a step",
    (
        "self._prediction = prediction",
        "comes after: now_s = self._clock()",
    ): "neither reads the other",
    (
        "self._stats.unknown_signs = sum(self._signs.unknown.values())",
        "comes after: for output in acted:",
    ): "two figures of the same picture",
    (
        "for output in acted:",
        "comes after: self.step()",
    ): "what is counted is the same before and after the step",
    (
        "if self._closed:",
        "comes after: output = policy.evaluate(self._signs, now_s, self._parameters.tuning)",
    ): "what the signs ask for is a pure function, and unused where the run has ended",
    (
        "if output != self._output:",
        "comes after: ask = guard.PowerRequest(output.power_percent, output.reason)",
    ): "the request is made of the output alone",
    (
        "self._inputs = guard.Inputs(now_s, ask, self._health(), orders)",
        "comes after: before = self._permit",
    ): "the permit before the step is the same",
    (
        "self._aim()",
        "comes after: self._publish_faults(now_s)",
    ): "nothing between the two waits, and the driver writes afterwards",
    (
        "self._publish_faults(now_s)",
        "comes after: if self._permit != before or now_s - self._published_s >= STATE_PERIOD_S:",
    ): "two reports of the same moment",
    (
        "self._auto_armed = self._auto_armed or self._guard.state is GuardState.FAULT_LATCHED",
        "comes after: if not self._auto_armed and self._guard.state is GuardState.DISARMED and not self._storage():",
    ): "a latched train is not disarmed in the same step",
    (
        "self._auto_armed = True",
        "comes after: self.step(Order.ARM, Order.DRIVE)  # waiting for the next tick would bring nothing new",
    ): "the nested step finds the train armed",
    (
        "(self.accepted if result.accepted else self.refused)[command.channel] += 1",
        "comes after: reply(result)",
    ): "no sender reads the count before its reply",
    (
        "if command.stops:",
        "comes after: stops = self._stops if stops is None else stops",
    ): "only assigns what a stop does not read",
    (
        "stops = self._stops if stops is None else stops",
        "comes after: if command.malformed is not None:",
    ): "only assigns what a malformed command does not read",
    (
        "self._stops += 1",
        "comes after: self._stopped_s = self._clock()",
    ): "both under one lock",
    (
        "if admission.stops != self._stops:",
        "comes after: if self._clock() > admission.until_s:",
    ): "either refuses",
}
"""Equivalent mutants: (line, mutated line) to the reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy, mutate, test and compare with EXPLAINED."""
    parser = argparse.ArgumentParser(description="Mutation tests.")
    parser.add_argument(
        "--cosmic-ray", type=Path, help="the folder of its programs; without it only the order of steps"
    )
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _copy(work)
        survivors, tried = _try_orders(work)
        if asked.cosmic_ray is not None:
            others, count = _try_all(work, asked.cosmic_ray.absolute())
            survivors, tried = survivors + others, tried + count
    unexplained = [survivor for survivor in survivors if survivor not in EXPLAINED]
    complete = asked.cosmic_ray is not None
    idle = [explained for explained in EXPLAINED if explained not in survivors and complete]
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


def _try_orders(work: Path) -> tuple[list[tuple[str, str]], int]:
    """Drop and swap the statements of ORDERED; return the survivors as (line, what became of it), and how many."""
    survivors, tried = [], 0
    for name, functions in ORDERED.items():
        path = work / name
        source = path.read_text(encoding="utf-8")
        for change, mutant in _reordered(source, functions):
            path.write_text(mutant, encoding="utf-8")
            tried += 1
            if _passes(work, ORDERED_TESTS):
                survivors.append(change)
        path.write_text(source, encoding="utf-8")
    return survivors, tried


def _passes(work: Path, tests: Sequence[str]) -> bool:
    words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    try:
        done = subprocess.run([sys.executable, *words], cwd=work, capture_output=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _reordered(source: str, functions: set[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield (line, what became of it) with the mutated source, for each statement of the functions."""
    lines = source.splitlines(keepends=True)
    for block in _blocks(ast.parse(source), functions):
        for statement, following in itertools.zip_longest(block, block[1:]):
            if _only_reports(statement):
                continue
            first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
            line, indent = lines[first].strip(), " " * statement.col_offset
            yield (line, "is dropped"), "".join([*lines[:first], f"{indent}pass\n", *lines[last:]])
            if following is not None and not _only_reports(following):
                begin, end = following.lineno - 1, following.end_lineno or following.lineno
                swapped = [*lines[begin:end], *lines[last:begin], *lines[first:last]]
                after = f"comes after: {lines[begin].strip()}"
                yield (line, after), "".join([*lines[:first], *swapped, *lines[end:]])


def _blocks(tree: ast.AST, functions: set[str]) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of statements in the functions, without docstrings."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name not in functions:
            continue
        for node in ast.walk(function):
            for block in (getattr(node, "body", []), getattr(node, "orelse", [])):
                if isinstance(block, list) and block:
                    plain = [each for each in block if not _is_docstring(each)]
                    yield plain


def _only_reports(statement: ast.stmt) -> bool:
    """Return whether a statement does nothing, or only logs."""
    if isinstance(statement, ast.If):
        return all(map(_only_reports, [*statement.body, *statement.orelse]))
    return isinstance(statement, ast.Pass) or ast.unparse(statement).startswith(("_log", "return None"))


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _change(diff: str) -> tuple[str, str]:
    """Return the line that was changed, and what it became; several lines are joined."""
    lines = diff.splitlines()
    before = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    after = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
    return " / ".join(before), " / ".join(after)


if __name__ == "__main__":
    sys.exit(main())
