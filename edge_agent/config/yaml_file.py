"""YAML files as SettingsTrees: plain values, each with its line and column.

Only plain scalars, lists and mappings are accepted, no tags or anchors: no file can run code or expand without bounds.
"""

import io
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from edge_agent.config.diagnostics import Location, SettingsProblem, SettingsTree, ValueSource
from edge_agent.runtime.files import read_file

_MAX_BYTES = 1 << 20  # no configuration has 1 MiB: a wrong path, to a video for instance
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "timestamp"))


def display_path(path: Path) -> str:
    """Return `path` for messages: relative to the working directory if it is below it, else as given."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_yaml(path: Path) -> SettingsTree:
    """Read the mapping in `path`; errors are in the tree's problems, never raised."""
    tree = SettingsTree()
    name = display_path(path)
    try:
        raw = read_file(path, _MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        tree.problems.append(SettingsProblem(name, "", f"cannot be read ({error.strerror}); name a readable file"))
        return tree
    except UnicodeDecodeError:
        tree.problems.append(SettingsProblem(name, "", "is not UTF-8 text; name a YAML file"))
        return tree
    if len(raw) > _MAX_BYTES:
        tree.problems.append(SettingsProblem(name, "", f"has more than {_MAX_BYTES} bytes; name a YAML file"))
        return tree
    _parse(text, name, path.resolve().parent, tree)
    return tree


def parse_value(text: str) -> object:
    """Parse one value as YAML (which includes JSON); text that is not plain YAML is returned as it is."""
    tree = SettingsTree()
    root = _compose(text, "", tree)
    value = _Walk("", Path(), tree).value(root, ()) if root is not None else None
    return text if tree.problems else value


def _parse(text: str, name: str, folder: Path, tree: SettingsTree) -> None:
    """Read the mapping in `text` into `tree`; an empty file is an empty mapping."""
    root = _compose(text, name, tree)
    if root is None:
        return
    if not isinstance(root, MappingNode):
        tree.problems.append(SettingsProblem(f"{name}:1:1", "", "must hold `key: value` lines"))
        return
    tree.values.update(_Walk(name, folder, tree).mapping(root, ()))


def _compose(text: str, name: str, tree: SettingsTree) -> Node | None:
    """Return the document's root node; None where it is empty or not YAML, which is then in the tree's problems."""
    try:
        root: Node | None = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        tree.problems.append(SettingsProblem(where, "", f"is not valid YAML: {error.problem or error.context}"))
    except YAMLError as error:  # characters that YAML forbids; the message's first line says which
        tree.problems.append(SettingsProblem(name, "", f"is not valid YAML: {str(error).splitlines()[0]}"))
    except RecursionError:
        tree.problems.append(SettingsProblem(name, "", "is nested too deeply; settings have at most three levels"))
    else:
        return root
    return None


def _dotted(at: Location) -> str:
    return ".".join(map(str, at))


class _Walk:
    """Converts composed nodes to plain values and records the place of each."""

    def __init__(self, name: str, folder: Path, tree: SettingsTree) -> None:
        self._name = name
        self._folder = folder
        self._tree = tree
        self._seen: set[int] = set()
        self._constructor = YAML(typ="safe", pure=True).constructor

    def mapping(self, node: MappingNode, at: Location) -> dict[str, object]:
        """Return the mapping, and report duplicate keys (the last one counts)."""
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._problem(key_node, at, "a key must be a plain word")
                continue
            key = str(key_node.value)
            here = (*at, key)
            if key in result:
                first = self._tree.places[here]
                self._problem(key_node, here, f"is a duplicate (first in line {first.key_line}); keep one")
            self._tree.places[here] = self._place(value_node, key_node)
            result[key] = self.value(value_node, here)
        return result

    def value(self, node: Node, at: Location) -> object:
        if id(node) in self._seen:  # an alias yields the same node as its anchor
            place = self._tree.places[at]  # its key's: the node's own mark is the anchor's
            where = f"{self._name}:{place.key_line}:{place.key_column}"
            text = "anchors and aliases are not allowed; write the value out"
            self._tree.problems.append(SettingsProblem(where, _dotted(at), text))
            return None
        self._seen.add(id(node))
        if isinstance(node, MappingNode):
            return self.mapping(node, at)
        if isinstance(node, SequenceNode):
            return self._sequence(node, at)
        return self._scalar(node, at)

    def _sequence(self, node: SequenceNode, at: Location) -> list[object]:
        items: list[object] = []
        for index, item in enumerate(node.value):
            self._tree.places[(*at, index)] = self._place(item)
            items.append(self.value(item, (*at, index)))
        return items

    def _scalar(self, node: Node, at: Location) -> object:
        if str(node.tag) not in _PLAIN_TAGS:
            self._problem(node, at, f"the tag {node.tag} is not allowed; write a plain value")
            return None
        if str(node.tag).endswith("timestamp"):  # no setting is a date: it is text that looks like one
            return str(node.value)
        try:
            return self._constructor.construct_object(node)
        except ValueError:  # a number of thousands of digits
            self._problem(node, at, "cannot be read as a number")
            return None

    def _place(self, node: Node, key: Node | None = None) -> ValueSource:
        mark = (key or node).start_mark
        empty = node.start_mark.index == node.end_mark.index  # then its mark is wherever the next thing begins
        value = mark if empty else node.start_mark
        spelling = str(node.value) if isinstance(node, ScalarNode) else ""
        return ValueSource(
            "file", self._name, value.line + 1, value.column + 1, self._folder, mark.column + 1, mark.line + 1, spelling
        )

    def _problem(self, node: Node, at: Location, text: str) -> None:
        mark = node.start_mark
        where = f"{self._name}:{mark.line + 1}:{mark.column + 1}"
        self._tree.problems.append(SettingsProblem(where, _dotted(at), text))
