"""The checks of Bluetooth adapter, disk, clock and Python."""

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_agent.config import HubSettings
from edge_agent.doctor.check import Status
from edge_agent.doctor.connections import check_hub
from edge_agent.doctor.system import check_clock, check_disk, check_python, kernel_clock_state

BLE = HubSettings(kind="ble")
NOW_UNIX_S = 1_800_000_000.0


def adapter(sysfs: Path, name: str, *, soft: str = "0") -> None:
    (sysfs / name / "rfkill0").mkdir(parents=True)
    (sysfs / name / "rfkill0" / "soft").write_text(soft + "\n")
    (sysfs / name / "rfkill0" / "hard").write_text("0\n")


async def test_mocked_hub_is_well_without_bluetooth(tmp_path: Path) -> None:
    assert (await check_hub(HubSettings(), tmp_path, tmp_path / "bus")).status is Status.OK


async def test_hub_without_an_adapter_fails(tmp_path: Path) -> None:
    (tmp_path / "hci0:11").mkdir()  # a connection, not an adapter
    result = await check_hub(BLE, tmp_path, tmp_path / "bus")
    assert (result.status, result.message) == (Status.FAIL, "there is no Bluetooth adapter")


async def test_hub_with_bluetooth_switched_off_fails(tmp_path: Path) -> None:
    adapter(tmp_path, "hci0", soft="1")
    result = await check_hub(BLE, tmp_path, tmp_path / "bus")
    assert result.status is Status.FAIL
    assert "rfkill unblock" in result.remedy


async def test_hub_without_a_system_bus_fails(tmp_path: Path) -> None:
    adapter(tmp_path, "hci0")
    result = await check_hub(BLE, tmp_path, tmp_path / "bus")
    assert result.status is Status.FAIL
    assert "no D-Bus" in result.message


LOST = """Bluetooth: hci0: Device booted in 14123 usecs
Bluetooth: hci0: Reading Intel version command failed (-110)
Bluetooth: hci0: command 0xfc05 tx timeout
"""


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (LOST, "command 0xfc05 tx timeout"),
        ("Bluetooth: hci0: RTL: firmware file rtl_bt/rtl8761bu_fw.bin not found\n", "rtl8761bu_fw.bin not found"),
        (
            "Bluetooth: hci0: Direct firmware load for intel/ibt-20-1-3.sfi failed with error -2\n"
            "Bluetooth: hci0: Failed to load Intel firmware file intel/ibt-20-1-3.sfi (-2)\n",
            "ibt-20-1-3.sfi (-2)",
        ),
        (LOST + "Bluetooth: hci0: Waiting for device to boot\nBluetooth: hci0: Device booted in 13001 usecs\n", ""),
        ("Bluetooth: HCI device and connection manager initialized\n", ""),
        ("", ""),
    ],
)
async def test_adapter_that_has_lost_its_firmware_is_named_with_what_the_kernel_said_last(
    tmp_path: Path, log: str, says: str
) -> None:
    adapter(tmp_path, "hci0")
    result = await check_hub(BLE, tmp_path, tmp_path / "bus", lambda: log)
    assert ("no firmware" in result.message, says in result.message) == (bool(says), True)
    assert ("modprobe -r btusb" in result.remedy) == bool(says)


async def test_hub_with_adapter_and_bus_is_well(tmp_path: Path) -> None:
    adapter(tmp_path, "hci0", soft="1")
    adapter(tmp_path, "hci1")
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        bus.listen()
        result = await check_hub(BLE, tmp_path, tmp_path / "bus")
    assert (result.status, result.message) == (Status.OK, "adapter hci1")


@pytest.mark.parametrize(
    ("free_mb", "status"), [(49, Status.FAIL), (50, Status.WARN), (499, Status.WARN), (500, Status.OK)]
)
async def test_disk_is_judged_by_its_free_space(
    tmp_path: Path, free_mb: int, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_mb * 1_000_000))
    result = await check_disk(tmp_path / "state" / "edge-agent", 50)
    assert (result.status, f"{free_mb} MB free" in result.message) == (status, True)


async def test_disk_that_cannot_be_written_to_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = await check_disk(tmp_path / "file" / "state", 50)
    assert result.status is Status.FAIL
    assert "cannot be written to" in result.message


@pytest.mark.parametrize(
    ("state", "unix_s", "status"),
    [
        (0, NOW_UNIX_S, Status.OK),
        (5, NOW_UNIX_S, Status.WARN),
        (None, NOW_UNIX_S, Status.WARN),
        (0, 12.0, Status.WARN),
    ],
)
async def test_clock_is_judged_by_the_kernel_and_its_date(state: int | None, unix_s: float, status: Status) -> None:
    assert (await check_clock(lambda: state, lambda: unix_s)).status is status


def test_kernel_answers_within_its_range() -> None:
    assert kernel_clock_state() in {None, 0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(("cores", "status"), [(1, Status.WARN), (2, Status.OK)])
async def test_python_is_judged_by_its_cores(cores: int, status: Status) -> None:
    assert (await check_python(cores)).status is status
