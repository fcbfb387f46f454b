"""Where commands from Kafka come in: read, judged by the train's gate, carried out; the answer is an event.

Knows how an order is written. Knows nothing of connections, or of what the train does. The answer to each command goes
to all observers, and so through the outbox to whoever sent it; there is no other reply.
"""

from collections.abc import Callable
from dataclasses import replace

import structlog

from edge_agent.commands import STOPPING, Accepted, Code, Desk, Refused, Request, Verb, read, read_moment
from edge_agent.mirror.kafka_orders import Message
from edge_agent.wire import MalformedMessageError, Order, read_order

_log = structlog.get_logger(__name__)

_LONGEST = 128
_NO_PICTURES = Refused(Code.VALUE, "pictures on request go out by MQTT; Kafka gets every one where kafka.images is set")


class KafkaDesk:
    """Takes the commands of one train, in the listener's thread. A kafka_orders.Handler.

    Args:
        train_id: only messages with this key are ours.
        desk: judges, carries out and tells.
    """

    def __init__(self, train_id: str, desk: Desk) -> None:
        self.accepted = 0
        self.refused = 0
        self._key = train_id.encode()
        self._desk = desk

    def ours(self, message: Message) -> bool:
        """Tell whether a message is for this train."""
        return message.key == self._key

    def stop(self, message: Message) -> str | None:
        """Return what a message stops, None where it does not only stop."""
        try:
            order = read_order(message.headers, message.value)
        except MalformedMessageError:
            return None
        request = read(order.verb, order.body)
        return request.verb.value if isinstance(request, Request) and request.verb in STOPPING else None

    def handle(self, message: Message) -> Callable[[], object] | None:
        """Judge a command; return what to do about it in the train's loop."""
        try:
            order = read_order(message.headers, message.value)
        except MalformedMessageError as error:
            _log.warning("command_unreadable", channel="kafka", reason=error.message)
            return None
        request = _request(order)
        verdict = self._desk.judge(request)
        command_id = request.command_id if isinstance(request, Request) else _short(order.order_id)
        verb, who = _short(order.verb) or "", _who(order, request)
        if isinstance(verdict, Accepted):
            self.accepted += 1
            _log.info("command", channel="kafka", name=verb, id=command_id, by=who)
        else:
            self.refused += 1
            _log.warning("command_refused", channel="kafka", name=verb, code=verdict.code.value, reason=verdict.reason)
        return lambda: self._desk.settle(verb, command_id, verdict, who)


def _request(order: Order) -> Request | Refused:
    """Read a command's body; where it lacks id or time, those of the event are meant."""
    request = read(order.verb, order.body)
    if isinstance(request, Refused):
        return request
    if request.verb is Verb.IMAGE:
        return _NO_PICTURES
    issued_unix_s = read_moment(order.issued_at) if request.issued_unix_s is None else request.issued_unix_s
    return replace(request, command_id=request.command_id or _short(order.order_id), issued_unix_s=issued_unix_s)


def _who(order: Order, request: Request | Refused) -> str | None:
    return (request.by if isinstance(request, Request) else None) or _short(order.source)


def _short(text: str) -> str | None:
    """Return a text that may go into answers and logs; None for one that is long or cannot be shown."""
    return text if len(text) <= _LONGEST and text.isprintable() else None
