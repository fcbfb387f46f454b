"""Live messages as text: what the WebSocket says, each serialised once for all who get it.

Knows the messages' form. Knows nothing of viewers.
"""

import json
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from edge_agent.console.picture_history import StoredPicture
from edge_agent.console.schemas import Train, Trouble
from edge_agent.console.store import BoxesSeen, ItemAdded, TrainRemoved
from edge_agent.console.viewer_queue import FrameMessage


def to_json(value: Any) -> bytes:
    """Return a view, or a tuple of views of one kind, as JSON."""
    kind: Any = type(value)
    return _adapter(kind).dump_json(value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def train(view: Train) -> str:
    """Return the message that a train has changed."""
    return f'{{"t":"train","train":{to_json(view).decode()}}}'


def item(change: ItemAdded) -> str:
    """Return the message of a new line of the timeline."""
    return f'{{"t":"item","train":{json.dumps(change.train_id)},"item":{to_json(change.item).decode()}}}'


def boxes(change: BoxesSeen) -> str:
    """Return the message of what was seen in a frame; its moment is on our clock."""
    body = to_json(replace(change.boxes, at_ms=change.at_ms)).decode()
    return f'{{"t":"boxes","train":{json.dumps(change.train_id)},{body[1:]}'


def gone(change: TrainRemoved) -> str:
    """Return the message that a train was taken off the list."""
    return json.dumps({"t": "gone", "id": change.train_id})


def trouble(found: Trouble | None) -> str:
    """Return the message why nothing is heard of any train, or that it is over."""
    return f'{{"t":"trouble","trouble":{to_json(found).decode() if found else "null"}}}'


def hello(now_ms: int, trains: list[Train], api: dict[str, Any]) -> str:
    """Return the first message."""
    views = b",".join(to_json(view) for view in trains).decode()
    return f'{{"t":"hello","now_ms":{now_ms},"trains":[{views}],"api":{json.dumps(api)}}}'


def picture(kept: StoredPicture, at_ms: int, data: bytes | None = None) -> FrameMessage:
    """Return a frame ready to be sent; `data` is another encoding of it, a smaller one."""
    head = {
        "train": kept.train_id,
        "frame_id": kept.frame_id,
        "sequence": kept.sequence,
        "at_ms": at_ms,
        "width": kept.width,
        "height": kept.height,
    }
    return FrameMessage(kept.train_id, kept.frame_id, json.dumps(head)[:-1], kept.data if data is None else data)
