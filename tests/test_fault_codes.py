"""Every code that a fault can have stands in docs/operate.md, and the page names no other."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from edge_agent.agent import gpu_upgrade
from edge_agent.observers.kafka import client as kafka_client
from edge_agent.pipeline import control

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_agent"

# Where the code is a variable: the codes that it can hold. A new such place fails the test until it is named here.
VARIABLE = {
    "agent/gpu_upgrade.py": {code for _, code in gpu_upgrade._CODES} | {"engine_unusable"},
    "agent/run.py": {"source_damaged", "source_noted"},
    "observers/kafka/client.py": {code for _, code, _, _ in kafka_client._MEANINGS},
    "pipeline/capture.py": {"camera_lost", "camera_changed"},
    "pipeline/control.py": {code for code, _ in control._FAULTS.values()},
}
BUILDERS = {"Fault", "FaultReport", "LinkProblem", "_ErrorText"}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def constants(node: ast.Module | ast.ClassDef) -> dict[str, str]:
    """Return the texts that a module or class gives names to."""
    return {
        target.id: part.value.value
        for part in node.body
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
        for target in part.targets
        if isinstance(target, ast.Name)
    }


def codes_in(path: Path) -> Iterator[str]:
    """Yield the codes of the faults that a module makes; those handed on from elsewhere (`x.code`) are found there."""
    tree = parsed(path)
    known, name = constants(tree), str(path.relative_to(PACKAGE))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", None) not in BUILDERS or not node.args:
            continue
        match node.args[0]:
            case ast.Constant(value=str(code)):
                yield code
            case ast.Name(id=variable) if variable in known:
                yield known[variable]
            case ast.Name(id=variable):
                imported = [
                    n for n in tree.body if isinstance(n, ast.ImportFrom) and variable in {a.name for a in n.names}
                ]
                if imported:
                    continue  # a constant of another module, which is read there
                assert name in VARIABLE, f"{name}:{node.lineno}: which codes can {variable} hold?"
                yield from VARIABLE[name]
            case ast.Attribute(attr="code"):
                continue
            case ast.JoinedStr():
                assert name == "agent/observers.py", f"{name}:{node.lineno}: a code made of parts"
            case other:
                raise AssertionError(f"{name}:{node.lineno}: {ast.dump(other)}")


def observers() -> Iterator[str]:
    """Yield the names of all sinks: what fails of them is told as `<name>_failed`."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and any(getattr(part, "name", "") == "run" for part in node.body):
                yield from (text for name, text in constants(node).items() if name == "name")


@functools.cache
def emitted() -> set[str]:
    found = {code for path in PACKAGE.rglob("*.py") for code in codes_in(path)}
    tasks = re.findall(r'fenced\("([^"]+)"', (PACKAGE / "agent" / "run.py").read_text())
    return found | {f"{name}_failed" for name in (*observers(), *tasks)}


def documented() -> set[str]:
    page = (ROOT / "docs" / "operate.md").read_text()
    faults = page[page.index("## Faults of the train") : page.index("## Health and metrics")]
    rows = [line.split("|")[1] for line in faults.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`([^`]+)`", row)}


def test_every_code_of_a_fault_is_in_the_operators_page_and_no_other() -> None:
    assert {"mqtt_denied", "emergency_stop", "disk_full", "kafka_refused", "outbox_stuck"} <= emitted()
    assert emitted() - documented() == set(), "codes that docs/operate.md lacks"
    assert documented() - emitted() == set(), "codes that nothing emits"


def test_code_is_plain() -> None:
    assert [code for code in emitted() if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []
