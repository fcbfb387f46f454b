"""The dotted keys of a settings model and the kind of value each takes, from its annotations."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Leaf:
    """One key that holds a value: its path, and what the value may be.

    `text` is true where the value can only be text (or null): then the environment's value is taken verbatim.
    """

    path: tuple[str, ...]
    info: FieldInfo
    text: bool
    boolean: bool
    listed: bool
    nullable: bool
    is_path: bool
    secret: bool

    @property
    def key(self) -> str:
        """The dotted key, `capture.fps`."""
        return ".".join(self.path)


def section_of(info: FieldInfo) -> type[BaseModel] | None:
    """Return the model behind a field that is a section, None for a field that holds a value."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def leaves(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield each key of `model` that holds a value, in the order of the fields."""
    for name, info in model.model_fields.items():
        inner = section_of(info)
        if inner is not None:
            yield from leaves(inner, (*prefix, name))
        else:
            yield _leaf((*prefix, name), info)


def model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the section at `path` below `model`; None where there is none."""
    if not path:
        return model
    info = model.model_fields.get(str(path[0]))
    inner = section_of(info) if info else None
    if inner is not None:
        return model_at(inner, path[1:])
    entry = _entry_of(info) if info else None
    return model_at(entry, path[2:]) if entry is not None and len(path) > 1 else None


def _entry_of(info: FieldInfo) -> type[BaseModel] | None:
    """Return the model of the entries of a mapping whose keys the user chooses (`signs`)."""
    kinds = get_args(info.annotation) if get_origin(info.annotation) is dict else ()
    return kinds[1] if kinds and isinstance(kinds[1], type) and issubclass(kinds[1], BaseModel) else None


def _leaf(path: tuple[str, ...], info: FieldInfo) -> Leaf:
    atoms = set(_atoms(info.annotation))
    return Leaf(
        path=path,
        info=info,
        text=atoms <= {str, Path, SecretStr, NoneType},
        boolean=atoms <= {bool, NoneType},
        listed=atoms <= {tuple, NoneType},
        nullable=NoneType in atoms,
        is_path=Path in atoms,
        secret=SecretStr in atoms,
    )


def _atoms(annotation: Any) -> Iterator[Any]:
    """Yield the plain types in an annotation; a Literal counts as the types of its values."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _atoms(get_args(annotation)[0])
    elif origin is Literal:
        yield from (type(value) for value in get_args(annotation))
    elif origin in {tuple, list, dict, frozenset}:
        yield origin
    elif get_args(annotation):
        for part in get_args(annotation):
            yield from _atoms(part)
    else:
        yield annotation
