"""Manufacturer data in a hub's advertisement."""

import pytest
from hypothesis import given, strategies as st

from edge_agent.hub.lwp3 import Advertisement, Capability, Malformed, MalformedReason, SystemType, decode_advertisement


def test_city_hub_is_recognised() -> None:
    decoded = decode_advertisement(bytes.fromhex("004107006100"))
    assert isinstance(decoded, Advertisement)
    assert decoded.system_type == SystemType.CITY
    assert decoded.capabilities == Capability.CENTRAL | Capability.PERIPHERAL | Capability.PORTS
    assert not decoded.button_pressed


@given(st.binary(min_size=6, max_size=6))
def test_any_six_bytes_are_an_advertisement(raw: bytes) -> None:
    decoded = decode_advertisement(raw)
    assert isinstance(decoded, Advertisement)
    assert decoded.encode()[1:] == raw[1:]
    assert decoded.button_pressed == bool(raw[0])


@pytest.mark.parametrize(
    ("raw", "reason"), [("0041", MalformedReason.TRUNCATED), ("00410700610000", MalformedReason.TOO_LONG)]
)
def test_other_lengths_are_malformed(raw: str, reason: MalformedReason) -> None:
    decoded = decode_advertisement(bytearray.fromhex(raw))
    assert isinstance(decoded, Malformed)
    assert decoded.reason is reason
