"""The sentences that the train sends and the page shows: each has its French one. Needs no browser."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "edge_agent"
TEXTS = PACKAGE / "console" / "page" / "fr-train.js"
_PAIR = re.compile(r'^  \["([^"]+)", "([^"]+)"\],$', re.MULTILINE)
_NAME = re.compile(r"\{[^{}]*\}")

SPOKEN = (
    "control/guard.py",
    "control/policy.py",
    "control/commands/authorizer.py",
    "control/commands/handler.py",
    "control/commands/parser.py",
    "control/commands/rules.py",
    "faults.py",
    "hub/errors.py",
    "observers/kafka/client.py",
    "observers/mqtt/errors.py",
    "observers/outbox/status.py",
    "perception/camera/live.py",
    "pipeline/control.py",
)
"""Modules whose sentences all reach the page: reasons of the guard, refusals, what failed and what to do."""


def pairs() -> list[tuple[str, str]]:
    """Return the train's English sentences and their French ones, in the order in which the page tries them."""
    text = TEXTS.read_text(encoding="utf-8")
    found = [(english, french) for english, french in _PAIR.findall(text)]
    assert len(found) == sum(line.startswith("  [") for line in text.splitlines()), "a line of another form"
    return found


def nameless(template: str) -> str:
    """Return a template with its values as `{}`."""
    return _NAME.sub("{}", template)


def constants(tree: ast.Module) -> dict[str, str]:
    """Return the module's constants that are texts."""
    return {
        name.id: text
        for node in tree.body
        for name, text in (
            [(node.targets[0], node.value.value)]
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            else []
        )
        if isinstance(name, ast.Name) and isinstance(text, str)
    }


def template_of(node: ast.AST, known: Mapping[str, str]) -> str | None:
    """Return a literal or an f-string as a template, with its constants filled in; None for anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return nameless(text)
        case ast.FormattedValue(value=ast.Name(id=name)) if name in known:
            return known[name]
        case ast.FormattedValue():
            return "{}"
        case ast.JoinedStr(values=values):
            return "".join(template_of(part, known) or "" for part in values)
        case _:
            return None


def sentences(tree: ast.AST, known: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield line and template of every text of several words that is no docstring, no log text and not raised."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Raise() | ast.Assert():
                continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"))):
                continue
            case ast.Constant() | ast.JoinedStr() if (found := template_of(node, known)) is not None:
                if re.search(r"[a-z]\S* \S*[a-z]", found):
                    yield node.lineno, found
            case _:
                yield from sentences(node, known)


def reported(tree: ast.AST, known: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    """Yield line, kind and template of the messages and remedies that a FaultReporter or a HubEvent is given."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        named = {
            node.targets[0].id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(function):
            match node:
                case (
                    ast.Call(func=ast.Attribute(attr="report" | "clear"), args=[kind, *texts])
                    | ast.Call(func=ast.Name(id="HubEvent"), args=[kind, *texts])
                ):
                    for text in texts:
                        value = named.get(text.id, text) if isinstance(text, ast.Name) else text
                        if (found := template_of(value, known)) is not None:
                            yield value.lineno, ast.unparse(kind), found
                case _:
                    pass


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of the package with its path in it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def sent() -> Iterator[tuple[str, str]]:
    """Yield where a sentence stands, as `file:line`, and its template."""
    for name, tree in modules():
        known = constants(tree)
        for line, template in sentences(tree, known) if name in SPOKEN else ():
            yield f"{name}:{line}", template
        for line, _, template in reported(tree, known):
            yield f"{name}:{line}", template


def test_each_sentence_of_the_train_has_a_french_one() -> None:
    known = {nameless(english) for english, _ in pairs()}
    assert [f"{where}: {template}" for where, template in sent() if template not in known] == []


def test_each_french_sentence_is_of_one_that_the_train_can_send() -> None:
    written = "\n".join(
        template_of(node, constants(tree)) or ""
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr)
    )
    parts = {part.strip(" :;,()") for english, _ in pairs() for part in nameless(english).split("{}")}
    assert {part for part in parts if part not in written} == set()


def test_french_sentences_take_the_values_of_the_english_ones() -> None:
    assert [
        english for english, french in pairs() if sorted(_NAME.findall(english)) != sorted(_NAME.findall(french))
    ] == []
