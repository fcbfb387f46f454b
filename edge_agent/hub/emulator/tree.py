"""Objects with interfaces and properties on a bus, and the signals that tell of their changes.

Knows org.freedesktop.DBus.ObjectManager and Properties. Knows nothing of what the objects are.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dbus_fast import Message, Variant

OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

Properties = dict[str, Variant]
Interfaces = dict[str, Properties]


class ObjectTree:
    """Objects by path. `send` takes each signal; silent where it is None."""

    def __init__(self) -> None:
        self.send: Callable[[Message], object] | None = None
        self._objects: dict[str, Interfaces] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def managed(self) -> dict[str, Interfaces]:
        """Everything there is, as GetManagedObjects tells it."""
        return self._objects

    def interface(self, path: str, interface: str) -> Properties | None:
        """Properties of one interface of one object; None where there is none."""
        return self._objects.get(path, {}).get(interface)

    def get(self, path: str, interface: str, name: str) -> Any:
        """Value of a property that exists."""
        return self._objects[path][interface][name].value

    def add(self, path: str, interfaces: Interfaces) -> None:
        """Add an object, or do nothing if it is there."""
        if path in self._objects:
            return
        self._objects[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove(self, path: str) -> None:
        """Remove an object and all below it, the lowest first."""
        below = [other for other in self._objects if other == path or other.startswith(f"{path}/")]
        for gone in sorted(below, key=len, reverse=True):
            interfaces = list(self._objects.pop(gone))
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [gone, interfaces])

    def change(self, path: str, interface: str, changes: Mapping[str, Variant]) -> None:
        """Change properties of an object, if it is there, and say so even where the value stays."""
        if path not in self._objects:
            return
        self._objects[path][interface].update(changes)
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, dict(changes), []])

    def clear(self) -> None:
        """Forget everything without a word, as a killed process does."""
        self._objects.clear()

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self.send is not None:
            self.send(Message.new_signal(path, interface, member, signature, body))
