"""D-Bus signals that mean a lost link."""

import pytest

from edge_agent.hub.bluez_monitor import ADAPTER, CHARACTERISTIC, DEVICE, Signal, loss_reason

ADAPTER_PATH = "/org/bluez/hci0"
PATH = f"{ADAPTER_PATH}/dev_AA_00_00_00_00_01"
OTHER = f"{ADAPTER_PATH}/dev_AA_00_00_00_00_02"


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (Signal("NameOwnerChanged", "/", ("org.bluez", ":1.5", "")), "bluetoothd"),
        (Signal("InterfacesRemoved", "/", (PATH, [DEVICE])), "forgotten"),
        (Signal("InterfacesRemoved", "/", (ADAPTER_PATH, [ADAPTER])), "adapter"),
        (Signal("PropertiesChanged", PATH, (DEVICE, {"Connected": False}, [])), "disconnected"),
        (Signal("PropertiesChanged", ADAPTER_PATH, (ADAPTER, {"Powered": False}, [])), "switched off"),
    ],
)
def test_signal_of_a_loss_is_explained(signal: Signal, words: str) -> None:
    assert words in (loss_reason(signal, PATH) or "")


@pytest.mark.parametrize(
    "signal",
    [
        Signal("NameOwnerChanged", "/", ("org.bluez", "", ":1.9")),
        Signal("InterfacesRemoved", "/", (OTHER, [DEVICE])),
        Signal("InterfacesRemoved", "/", ("/org/bluez/hci1", [ADAPTER])),
        Signal("InterfacesRemoved", "/", (PATH, ["org.bluez.Battery1"])),
        Signal("InterfacesRemoved", "/", (f"{PATH}/service000c/char000d", [CHARACTERISTIC])),
        Signal("PropertiesChanged", OTHER, (DEVICE, {"Connected": False}, [])),
        Signal("PropertiesChanged", PATH, (DEVICE, {"Connected": True}, [])),
        Signal("PropertiesChanged", PATH, (DEVICE, {"RSSI": -60}, [])),
        Signal("PropertiesChanged", ADAPTER_PATH, (ADAPTER, {"Powered": True}, [])),
        Signal("PropertiesChanged", ADAPTER_PATH, (ADAPTER, {"Discovering": False}, [])),
    ],
)
def test_signal_of_anything_else_is_no_loss(signal: Signal) -> None:
    assert loss_reason(signal, PATH) is None
