"""Recorded bytes: each line decodes to what it says, and encodes to itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from pybricksdev.ble.lwp3.messages import parse_message

from edge_agent.hub.lwp3 import HubModel, Malformed, decode, encode
from tests.hub.lwp3.plain import plain

FOLDER = Path(__file__).parents[2] / "fixtures" / "lwp3"


def lines(*names: str) -> list[Any]:
    """Read fixtures, each line with a name that pytest can show."""
    return [
        pytest.param(json.loads(line), id=f"{name}:{number}")
        for name in names
        for number, line in enumerate((FOLDER / f"{name}.jsonl").read_text().splitlines(), 1)
    ]


@pytest.mark.parametrize("line", lines("session", "city_hub_ports", "malformed"))
def test_recorded_bytes_decode_to_what_the_fixture_says(line: dict[str, Any]) -> None:
    message = decode(bytes.fromhex(line["raw"]))
    assert {"from": line["from"], "raw": line["raw"], **plain(message)} == line


@pytest.mark.parametrize("line", lines("session", "city_hub_ports"))
def test_recorded_bytes_are_written_the_same_by_us_and_known_to_the_oracle(line: dict[str, Any]) -> None:
    raw = bytes.fromhex(line["raw"])
    message = decode(raw)
    assert not isinstance(message, Malformed)
    assert bytes(parse_message(raw)) == raw
    assert encode(message) == raw


def test_recorded_session_leaves_the_model_as_the_session_went() -> None:
    model = HubModel()
    for number, param in enumerate(lines("session")):
        line = param.values[0]
        message = decode(bytes.fromhex(line["raw"]))
        assert not isinstance(message, Malformed)
        model = (
            model.with_notification(message)
            if line["from"] == "hub"
            else model.with_command(message, float(number) / 100)
        )
    assert (model.name, model.battery_percent, model.voltage_mv) == ("Express", 9, 6271)
    assert {alert.name for alert in model.alerts} == {"LOW_VOLTAGE"}
    assert (model.motor_port, model.light_port, model.refusals) == (None, 1, 1)
    assert model.leaving is not None
