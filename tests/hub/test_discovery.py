"""Which hub is chosen, and the error when none can be used."""

from dataclasses import replace
from typing import Any

import pytest

from edge_agent.config.control import HubSettings
from edge_agent.hub.bluez_monitor import ADAPTER, CHARACTERISTIC, DEVICE
from edge_agent.hub.discovery import DiscoveredHub, check_adapters, choose, connected_hubs
from edge_agent.hub.errors import ADAPTER_OFF, HELD, NO_ADAPTER, NO_HUB, WRONG_HUB, HubError
from edge_agent.hub.lwp3 import CHARACTERISTIC_UUID, COMPANY_ID, SERVICE_UUID, Advertisement, SystemType

ANY = HubSettings()
CITY = DiscoveredHub("AA:00:00:00:00:01", "Train", SystemType.CITY, rssi_dbm=-60)
OTHER_CITY = DiscoveredHub("AA:00:00:00:00:02", "Tram", SystemType.CITY, rssi_dbm=-40)
TECHNIC = DiscoveredHub("AA:00:00:00:00:03", "Crane", SystemType.TECHNIC, rssi_dbm=-30)
PATH = "/org/bluez/hci0/dev_AA_00_00_00_00_01"


def code_of(hubs: list[DiscoveredHub], settings: HubSettings = ANY) -> str:
    with pytest.raises(HubError) as caught:
        choose(hubs, settings)
    assert caught.value.remedy
    return caught.value.code


def test_several_hubs_the_strongest_is_taken() -> None:
    assert choose([CITY, OTHER_CITY, TECHNIC], ANY) == OTHER_CITY


def test_hub_that_is_connected_already_is_taken_before_a_stronger_one() -> None:
    linked = replace(CITY, connected=True, rssi_dbm=None)
    assert choose([OTHER_CITY, linked], ANY) == linked


@pytest.mark.parametrize("address", ["AA:00:00:00:00:01", "aa:00:00:00:00:01"])
def test_pinned_address_is_taken_however_weak(address: str) -> None:
    assert choose([CITY, OTHER_CITY], HubSettings(address=address)) == CITY


def test_pinned_name_is_taken_however_weak() -> None:
    assert choose([CITY, OTHER_CITY], HubSettings(name="Train")) == CITY


def test_nothing_in_range_says_no_hub() -> None:
    assert code_of([]) == NO_HUB


def test_pinned_hub_not_among_those_seen_names_it_and_one_that_is_there() -> None:
    with pytest.raises(HubError, match=r"The hub Elsewhere is not in range, only Train \(AA:.*:01\)") as caught:
        choose([CITY], HubSettings(name="Elsewhere"))
    assert caught.value.code == NO_HUB
    assert code_of([], HubSettings(name="Elsewhere")) == NO_HUB


@pytest.mark.parametrize(
    ("sighting", "words"),
    [
        (TECHNIC, "Technic Hub"),
        (replace(TECHNIC, system_type=0x99), "0x99"),
        (replace(CITY, pybricks=True, system_type=None), "Pybricks"),
    ],
)
def test_another_kind_of_hub_is_named(sighting: DiscoveredHub, words: str) -> None:
    with pytest.raises(HubError, match=words) as caught:
        choose([sighting], ANY)
    assert caught.value.code == WRONG_HUB


def test_hub_that_another_program_holds_says_so() -> None:
    assert code_of([replace(CITY, connected=True, held=True)]) == HELD


def test_held_hub_beside_a_free_one_takes_the_free_one() -> None:
    assert choose([replace(CITY, connected=True, held=True), OTHER_CITY], ANY) == OTHER_CITY


def test_no_adapter_says_so() -> None:
    with pytest.raises(HubError) as caught:
        check_adapters({"/org/bluez": {}})
    assert caught.value.code == NO_ADAPTER


def test_adapters_all_off_says_bluetooth_is_off() -> None:
    with pytest.raises(HubError) as caught:
        check_adapters({"/org/bluez/hci0": {ADAPTER: {"Powered": False}}})
    assert caught.value.code == ADAPTER_OFF


def test_one_adapter_of_two_on_is_enough() -> None:
    check_adapters({"/hci0": {ADAPTER: {"Powered": False}}, "/hci1": {ADAPTER: {"Powered": True}}})


def bluez(*, connected: bool = True, uuid: str = SERVICE_UUID, **used: bool) -> dict[str, dict[str, Any]]:
    return {
        PATH: {
            DEVICE: {
                "Address": CITY.address,
                "Alias": "Train",
                "Connected": connected,
                "UUIDs": [uuid],
                "ManufacturerData": {COMPANY_ID: Advertisement(False, SystemType.CITY).encode()},
            }
        },
        f"{PATH}/service000c/char000d": {CHARACTERISTIC: {"UUID": CHARACTERISTIC_UUID, **used}},
    }


def test_link_left_by_a_dead_process_is_seen_with_its_kind() -> None:
    [hub] = connected_hubs(bluez())
    assert (hub.address, hub.kind, hub.connected, hub.held) == (CITY.address, "City Hub", True, False)
    assert hub.device is not None
    assert hub.device.details["path"] == PATH


@pytest.mark.parametrize("used", ["Notifying", "NotifyAcquired", "WriteAcquired"])
def test_link_that_another_program_uses_is_held(used: str) -> None:
    [hub] = connected_hubs(bluez(**{used: True}))
    assert hub.held
    [hub] = connected_hubs(bluez(**{used: False}))
    assert not hub.held


@pytest.mark.parametrize("objects", [bluez(connected=False), bluez(uuid="0000180f-0000-1000-8000-00805f9b34fb"), {}])
def test_devices_that_are_no_linked_hub_are_passed_over(objects: dict[str, dict[str, Any]]) -> None:
    assert connected_hubs(objects) == []
