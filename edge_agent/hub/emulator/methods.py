"""D-Bus methods of the emulated BlueZ, as a table of signatures and handlers, and the faults injected into them.

Without I/O: `handle` maps a message to its reply.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dbus_fast import ErrorType, Message, MessageFlag, MessageType, Variant

from edge_agent.hub.emulator.bluez import FAILED, BluezError, BluezStack, Finish
from edge_agent.hub.emulator.objects import ADAPTER, CHARACTERISTIC, DEVICE, OBJECT_MANAGER, PROPERTIES

Body = list[Any]


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults by the name of the D-Bus method, `WriteValue` for instance.

    `hung` methods do nothing and never reply; `mute` ones work and never reply; `errors` ones do nothing and reply with
    that error (name and text); `delays_s` delays the others.
    """

    hung: frozenset[str] = frozenset()
    mute: frozenset[str] = frozenset()
    errors: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    delays_s: Mapping[str, float] = field(default_factory=dict)


class _Method(NamedTuple):
    """One method: the signature of its reply, and its handler; `start` is that of a method that takes time."""

    signature: str
    run: Callable[[BluezStack, Message], Body] | None
    start: Callable[[BluezStack, Message, Finish], None] | None = None


class BluezMethods:
    """Handles method calls to a stack, with the faults in `faults`; `send` sends the delayed replies."""

    def __init__(
        self,
        stack: BluezStack,
        send: Callable[[Message], object],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.faults = Faults()
        self._stack = stack
        self._send = send
        self._call_later = call_later
        self._unanswered: list[Message] = []
        # BlueZ fails the pending calls of a link that is lost.
        stack.on_link_lost = self._fail_unanswered

    def handle(self, call: Message) -> Message | bool | None:
        """Handle a message; return its reply, None if it is not for BlueZ, True if there is no reply, or not yet."""
        method = _METHODS.get((call.interface or "", call.member or ""))
        if call.message_type is not MessageType.METHOD_CALL or method is None:
            return None
        name = call.member or ""
        if name in self.faults.hung:
            self._unanswered.append(call)
            return True
        delay_s = self.faults.delays_s.get(name, 0.0)
        if delay_s > 0:
            self._call_later(delay_s, lambda: self._run_late(call, method))
            return True
        return self._run(call, method) or True

    def _run_late(self, call: Message, method: _Method) -> None:
        reply = self._run(call, method)
        if reply is not None:
            self._send(reply)

    def _run(self, call: Message, method: _Method) -> Message | None:
        try:
            self._check(call.member or "", call.path or "")
            if method.start is not None:
                method.start(self._stack, call, lambda error: self._finish(call, error))
                return None
            assert method.run is not None  # noqa: S101 - a method has one handler or the other
            reply = Message.new_method_return(call, method.signature, method.run(self._stack, call))
        except BluezError as refusal:
            reply = _error(call, refusal)
        return self._admitted(call, reply)

    def _finish(self, call: Message, error: BluezError | None) -> None:
        reply = self._admitted(call, Message.new_method_return(call) if error is None else _error(call, error))
        if reply is not None:
            self._send(reply)

    def _admitted(self, call: Message, reply: Message) -> Message | None:
        """Return the reply, unless nobody waits for it or a fault keeps it back."""
        if call.member in self.faults.mute:
            self._unanswered.append(call)
            return None
        return None if call.flags & MessageFlag.NO_REPLY_EXPECTED else reply

    def _check(self, name: str, path: str) -> None:
        """Raise BluezError for a missing object or an injected error."""
        if path != "/" and path not in self._stack.tree:
            raise BluezError(ErrorType.UNKNOWN_OBJECT.value, f"no object {path}")
        if name in self.faults.errors:
            raise BluezError(*self.faults.errors[name])

    def _fail_unanswered(self) -> None:
        calls, self._unanswered = self._unanswered, []
        for call in calls:
            self._send(Message.new_error(call, FAILED, "Not connected"))


def _error(call: Message, error: BluezError) -> Message:
    return Message.new_error(call, error.error, error.text)


def _sender(call: Message) -> str:
    return call.sender or ""


def _property(stack: BluezStack, call: Message) -> Variant:
    path, (interface, name) = call.path or "", call.body[:2]
    found = (stack.tree.interface(path, interface) or {}).get(name)
    if found is None:
        raise BluezError(ErrorType.UNKNOWN_PROPERTY.value, f"no property {interface}.{name}")
    return found


def _set_property(stack: BluezStack, call: Message, finish: Finish) -> None:
    interface, name, value = call.body
    if _property(stack, call).signature != value.signature:
        raise BluezError("org.freedesktop.DBus.Error.InvalidArgs", f"{name} is of another type")
    if (interface, name) == (ADAPTER, "Powered"):
        stack.power(on=value.value, finish=finish)
    else:
        stack.tree.change(call.path or "", interface, {name: value})
        finish(None)


def _set_filter(stack: BluezStack, call: Message) -> Body:
    wanted = call.body[0].get("UUIDs")
    stack.set_filter(_sender(call), None if wanted is None else frozenset(wanted.value))
    return []


def _action(act: Callable[[BluezStack, Message], object]) -> Callable[[BluezStack, Message], Body]:
    """Wrap a handler without a result."""

    def run(stack: BluezStack, call: Message) -> Body:
        act(stack, call)
        return []

    return run


_METHODS: Mapping[tuple[str, str], _Method] = {
    (OBJECT_MANAGER, "GetManagedObjects"): _Method("a{oa{sa{sv}}}", lambda stack, _: [stack.tree.managed()]),
    (PROPERTIES, "Get"): _Method("v", lambda stack, call: [_property(stack, call)]),
    (PROPERTIES, "GetAll"): _Method(
        "a{sv}", lambda stack, call: [stack.tree.interface(call.path or "", call.body[0]) or {}]
    ),
    (PROPERTIES, "Set"): _Method("", None, _set_property),
    (ADAPTER, "SetDiscoveryFilter"): _Method("", _set_filter),
    (ADAPTER, "StartDiscovery"): _Method("", _action(lambda stack, call: stack.start_scan(_sender(call)))),
    (ADAPTER, "StopDiscovery"): _Method("", _action(lambda stack, call: stack.stop_scan(_sender(call)))),
    (ADAPTER, "RemoveDevice"): _Method("", None, lambda stack, _, finish: stack.remove_device(finish)),
    (DEVICE, "Connect"): _Method("", None, lambda stack, _, finish: stack.connect(finish)),
    (DEVICE, "Disconnect"): _Method("", None, lambda stack, _, finish: stack.disconnect(finish)),
    (CHARACTERISTIC, "WriteValue"): _Method("", _action(lambda stack, call: stack.write(bytes(call.body[0])))),
    (CHARACTERISTIC, "StartNotify"): _Method(
        "", None, lambda stack, call, finish: stack.start_notify(_sender(call), finish)
    ),
    (CHARACTERISTIC, "StopNotify"): _Method("", _action(lambda stack, call: stack.stop_notify(_sender(call)))),
}

METHOD_NAMES = frozenset(name for _interface, name in _METHODS)
"""Names of the methods of the emulated BlueZ."""
