"""The commands of `edge-agent hub`, for people and with --json."""

import json
import threading
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from edge_agent.cli.hub import app
from edge_agent.config import load
from edge_agent.control.watchdog import Watchdog
from edge_agent.errors import EdgeAgentError, UsageError
from edge_agent.hub.emulator import BluezEmulator, MotorSetting
from edge_agent.hub.errors import HELD, NO_ADAPTER, NO_HUB, HubError
from edge_agent.hub.recording import Direction, read_log
from tests.support.emulator_thread import EmulatorThread


def call(*words: str) -> Result:
    """Run `edge-agent hub WORDS`; an EdgeAgentError is raised."""
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, EdgeAgentError):
        raise result.exception
    return result


def link(emulator: BluezEmulator) -> None:
    """Leave a link behind, as a killed process does."""
    emulator.stack.advertise()
    emulator.stack.connect()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def driven(emulated: EmulatorThread) -> list[MotorSetting]:
    """Every command that reached the emulated motor."""
    settings: list[MotorSetting] = []
    emulated.call(lambda emulator: emulator.hub.watch(lambda setting, _now_s: settings.append(setting)))
    return settings


def test_scan_lists_a_hub_in_range(emulated: EmulatorThread) -> None:
    out = call("scan", "--seconds", "0.2").stdout
    assert "90:84:2B:60:33:70" in out
    assert "City Hub" in out
    assert "advertising" in out


def test_scan_prints_json_on_request(emulated: EmulatorThread) -> None:
    [hub] = json.loads(call("scan", "--seconds", "0.2", "--json").stdout)["hubs"]
    assert (hub["name"], hub["state"], hub["usable"]) == ("Train hub", "advertising", True)


def test_scan_lists_a_hub_that_is_linked_already(emulated: EmulatorThread) -> None:
    emulated.call(link)
    [hub] = json.loads(call("scan", "--seconds", "0.1", "--json").stdout)["hubs"]
    assert hub["state"] == "connected"


def test_scan_of_an_empty_room_says_what_to_do(emulated: EmulatorThread) -> None:
    emulated.call(BluezEmulator.vanish)
    with pytest.raises(HubError) as caught:
        call("scan", "--seconds", "0.1")
    assert caught.value.code == NO_HUB


def test_scan_without_an_adapter_says_so(emulated: EmulatorThread) -> None:
    emulated.call(BluezEmulator.remove_adapter)
    with pytest.raises(HubError) as caught:
        call("scan", "--seconds", "0.1")
    assert caught.value.code == NO_ADAPTER


def test_info_prints_what_the_hub_reported(emulated: EmulatorThread) -> None:
    facts = json.loads(call("info", "--json").stdout)
    assert facts["name"] == "Train hub"
    assert facts["battery_percent"] == 100
    assert facts["ports"]["0"] == "train_motor"
    assert (facts["motor_port"], facts["light_port"]) == (0, 1)
    assert facts["firmware"] == "1.1.00.0004"


def test_info_for_people_has_a_line_for_each_fact(emulated: EmulatorThread) -> None:
    out = call("info").stdout
    assert any(line.split() == ["battery_percent", "100"] for line in out.splitlines())


def test_info_of_a_hub_with_another_name_gives_up_in_time(emulated: EmulatorThread) -> None:
    with pytest.raises(EdgeAgentError):
        call("info", "--name", "Elsewhere", "--timeout", "1")


@pytest.mark.parametrize("words", [("info",), ("drive", "40"), ("calibrate",)])
def test_hub_that_is_held_is_reported_as_such_however_short_the_wait(
    emulated: EmulatorThread, words: tuple[str, ...]
) -> None:
    emulated.call(lambda emulator: emulator.hold("here"))
    with pytest.raises(HubError) as caught:
        call(*words, "--timeout", "1")
    assert caught.value.code == HELD


def test_drive_drives_then_brakes_and_lets_go(emulated: EmulatorThread, driven: list[MotorSetting]) -> None:
    result = json.loads(call("drive", "40", "--seconds", "0.3", "--json").stdout)
    assert (result["ended_by"], result["brake_confirmed"], result["stalls"]) == ("time is up", True, 0)
    assert {setting.power_percent for setting in driven} == {0, 40}
    status = emulated.call(BluezEmulator.status)
    assert (status["motor"], status["connected"]) == ("brake", False)


def test_drive_backwards_takes_a_negative_power(emulated: EmulatorThread, driven: list[MotorSetting]) -> None:
    assert call("drive", "-30", "--seconds", "0.1").exit_code == 0
    assert -30 in {setting.power_percent for setting in driven}


def test_drive_is_ended_by_the_green_button(emulated: EmulatorThread) -> None:
    def press(setting: MotorSetting, _now_s: float) -> None:
        if setting.power_percent == 40:
            threading.Thread(target=lambda: emulated.call(lambda emulator: emulator.press_button())).start()

    emulated.call(lambda emulator: emulator.hub.watch(press))
    result = json.loads(call("drive", "40", "--seconds", "30", "--json").stdout)
    assert result["ended_by"] == "button pressed"


def test_drive_is_ended_when_the_program_stood_still(emulated: EmulatorThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watchdog, "beat", lambda _watchdog: True)
    result = json.loads(call("drive", "40", "--seconds", "30", "--json").stdout)
    assert (result["ended_by"], result["brake_confirmed"]) == ("the program stood still", True)


@pytest.mark.parametrize("power", ["101", "-101", "fast"])
def test_drive_with_an_impossible_power_is_a_usage_error(power: str) -> None:
    assert call("drive", power).exit_code == 2


def test_brake_without_a_link_has_nothing_to_do(emulated: EmulatorThread) -> None:
    assert "nothing to brake" in call("brake").stdout


def test_brake_prints_json_on_request(emulated: EmulatorThread) -> None:
    emulated.call(link)
    [hub] = json.loads(call("brake", "--json").stdout)["hubs"]
    assert (hub["address"], hub["result"]) == ("90:84:2B:60:33:70", "braked")


def test_recording_of_a_session_can_be_shown_and_holds_both_ways(emulated: EmulatorThread) -> None:
    call("drive", "40", "--seconds", "0.1", "--hub-log", "log.jsonl")
    records = read_log(Path("log.jsonl"))
    assert {record.direction for record in records} == {Direction.SENT, Direction.RECEIVED}
    shown = json.loads(call("replay", "log.jsonl", "--json").stdout)
    assert shown["hub"] == {"name": "Train hub", "motor_port": 0, "light_port": 1}
    assert len(shown["messages"]) == len(records)
    assert "OutputCommand" in call("replay", "log.jsonl").stdout


def test_recording_to_a_folder_that_is_not_there_is_refused(emulated: EmulatorThread) -> None:
    with pytest.raises(UsageError, match="none"):
        call("info", "--hub-log", "none/log.jsonl")


def starts_at(emulated: EmulatorThread, power_percent: int) -> None:
    """Press the green button when the power is enough to move the train."""

    def press(setting: MotorSetting, _now_s: float) -> None:
        if setting.power_percent == power_percent:
            threading.Thread(target=press_and_release).start()

    def press_and_release() -> None:
        emulated.call(lambda emulator: emulator.press_button())
        emulated.call(lambda emulator: emulator.press_button(False))

    emulated.call(lambda emulator: emulator.hub.watch(press))


def test_calibrate_writes_a_profile_that_the_configuration_takes(emulated: EmulatorThread) -> None:
    starts_at(emulated, 22)
    result = json.loads(call("calibrate", "--rounds", "2", "--step", "0.05", "--json", "--output", "mine.yaml").stdout)
    written = YAML(typ="safe").load(Path("mine.yaml"))
    percent = written["hub"]["min_power_percent"]
    assert result["min_power_percent"] == percent
    assert 22 <= percent <= 27  # at the emulated 9 V, nominal 8.4 V: 23.6, or a step more
    assert load(Path("mine.yaml")).settings.hub.min_power_percent == percent


def test_calibrate_that_gets_no_answer_brakes_and_writes_nothing(emulated: EmulatorThread) -> None:
    with pytest.raises(EdgeAgentError, match="No one"):
        call("calibrate", "--step", "0.01")
    assert not Path("hub-calibration.yaml").exists()
    assert emulated.call(BluezEmulator.status)["motor"] == "brake"


def test_calibrate_to_a_folder_that_is_not_there_is_refused_before_the_train_moves(
    emulated: EmulatorThread, driven: list[MotorSetting]
) -> None:
    with pytest.raises(UsageError):
        call("calibrate", "--output", "none/mine.yaml")
    assert driven == []


@pytest.mark.parametrize("words", ["percent", "=5", ""])
def test_order_with_words_that_are_no_pair_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE"):
        call("order", "hub.sock", "drain", words)


def test_order_help_lists_the_orders() -> None:
    assert "drop-link" in call("order", "hub.sock", "help").stdout
