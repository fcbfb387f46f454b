"""MockHub: what a dry run and the pipeline's tests rely on."""

import pytest

from edge_agent.errors import RetryableError
from edge_agent.hub.mock import MockHub
from edge_agent.ports import Hub, HubEvent


def as_hub(hub: Hub) -> Hub:
    """Let mypy check MockHub against the Protocol."""
    return hub


async def test_hub_entered_brakes_before_it_says_connected() -> None:
    hub = MockHub()
    order: list[str] = []
    hub.subscribe(lambda event: order.append(f"{event.kind} after {len(hub.log)} writes"))
    async with as_hub(hub):
        assert [write.kind for write in hub.log] == ["brake"]
    assert order[0] == "connected after 1 writes"


async def test_hub_left_brakes_last_even_while_set_to_fail() -> None:
    async with MockHub() as hub:
        await hub.drive(50)
        hub.fail_next(9)
    assert hub.log[-1].kind == "brake"
    assert not hub.status().connected


async def test_writes_recorded_in_order_with_values() -> None:
    async with MockHub() as hub:
        await hub.drive(-40)
        await hub.light(100)
        await hub.show("green")
    assert [(write.kind, write.value) for write in hub.log][1:4] == [("drive", -40), ("light", 100), ("show", "green")]


async def test_write_set_to_fail_raises_retryable_and_records_nothing() -> None:
    async with MockHub() as hub:
        hub.fail_next()
        with pytest.raises(RetryableError):
            await hub.drive(30)
        await hub.drive(31)
        assert [write.value for write in hub.log if write.kind == "drive"] == [31]


async def test_link_lost_writes_fail_until_reconnect_whose_first_write_is_a_brake() -> None:
    events: list[HubEvent] = []
    async with MockHub() as hub:
        hub.subscribe(events.append)
        hub.drop_link()
        with pytest.raises(RetryableError):
            await hub.brake()
        written = len(hub.log)
        await hub.reconnect()
        assert hub.log[written].kind == "brake"
    assert [event.kind for event in events][:2] == ["disconnected", "connected"]


async def test_button_and_alert_reach_the_subscriber_and_the_alert_stays_in_the_status() -> None:
    events: list[HubEvent] = []
    async with MockHub() as hub:
        hub.subscribe(events.append)
        hub.press_button()
        hub.raise_alert("low_voltage")
        assert [(event.kind, event.detail) for event in events] == [("button_pressed", ""), ("alert", "low_voltage")]
        assert hub.status().alerts == {"low_voltage"}


async def test_power_out_of_range_is_refused() -> None:
    async with MockHub() as hub:
        with pytest.raises(ValueError, match="101"):
            await hub.drive(101)
