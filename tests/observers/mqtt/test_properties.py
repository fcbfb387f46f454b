"""A message's properties are the bytes that paho itself would write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.observers.mqtt.client import PackedProperties
from edge_agent.observers.mqtt.messages import OutgoingMessage

texts = st.text(st.characters(codec="utf-8"), max_size=200)


@given(st.none() | texts, st.lists(st.tuples(texts, texts), max_size=12), st.none() | st.binary(max_size=300))
def test_properties_are_written_as_paho_writes_them(
    content_type: str | None, user_properties: list[tuple[str, str]], correlation_data: bytes | None
) -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if content_type is not None:
        properties.ContentType = content_type
    if user_properties:
        properties.UserProperty = user_properties
    if correlation_data is not None:
        properties.CorrelationData = correlation_data
    message = OutgoingMessage(
        "t",
        b"",
        content_type=content_type,
        user_properties=tuple(user_properties),
        correlation_data=correlation_data,
    )
    assert PackedProperties(message).pack() == properties.pack()  # type: ignore[no-untyped-call]


def test_text_that_no_length_can_be_given_for_is_refused() -> None:
    with pytest.raises(OverflowError):
        PackedProperties(OutgoingMessage("t", b"", content_type="x" * 65_536)).pack()
