"""The service under a systemd that really runs: ready, reloaded, killed, hung, misconfigured. The hub is emulated.

The tests follow one train through its day, in this order: each begins where the one before has left it.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.service.machine import UNIT, Machine, NoMachineError, machine

pytestmark = [pytest.mark.xdist_group("systemd"), pytest.mark.timeout(600)]

CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYS_TIME = 16, 22, 25
"""Bits, as in linux/capability.h."""

RULES = "/etc/edge-agent/signs.yaml"
GREENBOOT = ("sh", "/srv/checkout/config/greenboot/required.d/50_edge_agent.sh")
LIMITS = {
    "EDGE_AGENT_GUARD__LEASE_MS": "2000",
    "EDGE_AGENT_GUARD__LATCH_MS": "20000",
    "EDGE_AGENT_GUARD__LOOP_STALL_MS": "2000",
    "EDGE_AGENT_CAPTURE__MAX_AGE_MS": "2000",
    "EDGE_AGENT_HUB__WRITE_TIMEOUT_MS": "600",
}
"""The machine may be busy, and this is no test of pace."""

TRAIN = {
    **LIMITS,
    "EDGE_AGENT_HUB__KIND": "ble",
    "EDGE_AGENT_HUB__RETRY_MAX_S": "0.5",
    "EDGE_AGENT_CAPTURE__SOURCE": "sim",
    "EDGE_AGENT_DETECTOR__BACKEND": "none",
    "EDGE_AGENT_SIM__TIME_LIMIT_S": "3600",
    "EDGE_AGENT_GUARD__ARM": "always",
    "EDGE_AGENT_POLICY__RULES": RULES,
}


@pytest.fixture(scope="module")
def train() -> Iterator[Machine]:
    """Boot a machine with the service installed, and a hub that is switched off."""
    with ExitStack() as stack:
        try:
            there = stack.enter_context(machine())
        except NoMachineError as reason:
            pytest.skip(str(reason))
        there.install()
        there.write(f"/etc/systemd/system/{UNIT}.d/quick.conf", "[Service]\nRestartSec=100ms\nRestartSteps=0\n")
        there.run("cp", "/srv/checkout/config/signs.yaml", RULES)
        there.configure(**TRAIN)
        there.systemctl("daemon-reload")
        there.systemctl("enable", UNIT)
        there.write("/etc/edge-agent/greenboot.conf", "NEED=ready\nWITHIN_S=1\n")
        there.hub(lambda emulator: emulator.vanish())
        yield there


def active(there: Machine) -> bool:
    return there.shows("ActiveState") == ["active"]


def restarts(there: Machine) -> int:
    return int(there.shows("NRestarts")[0])


def test_machine_shares_no_folder_that_can_be_written_to(train: Machine, tmp_path: Path) -> None:
    """What its systemd, or a program in it that means ill, may wipe is its own. Tried with nothing that does harm."""
    (tmp_path / "mine").touch()
    assert train.run("stat", "-f", "-c", "%T", "/", "/etc", "/var", "/root").split() == ["overlayfs"] * 4
    own = "/tmp"  # noqa: S108 - the machine's
    assert train.run("stat", "-f", "-c", "%T", own, "/run", "/dev").split() == ["tmpfs"] * 3
    assert train.run("ls", own).split() == []
    assert "No such file" in train.run("ls", str(tmp_path), check=False)
    for folder in ("/srv/checkout", "/srv/python"):
        assert "Read-only file system" in train.run("touch", f"{folder}/edge-agent-was-here", check=False)
    for kernel in ("/proc/sys/kernel/printk", "/sys/kernel/mm/transparent_hugepage/enabled"):
        assert not train.run("sh", "-c", f"test -w {kernel} && echo writable", check=False)
    for folder in ("/", "/etc", "/var", "/usr", "/run"):
        train.run("touch", f"{folder}/edge-agent-was-here")
        assert not (Path(folder) / "edge-agent-was-here").exists()
    rights = int(train.run("sed", "-n", "s/^CapBnd:\\t//p", "/proc/1/status"), 16)
    assert not rights & (1 << CAP_SYS_TIME | 1 << CAP_SYS_MODULE | 1 << CAP_SYS_BOOT)


def test_service_is_not_ready_before_the_hub_is_there_and_says_so(train: Machine) -> None:
    train.systemctl("start", "--no-block", UNIT)
    train.until(lambda: train.status_says("init: ", "hub"), "the status line names the hub")
    assert train.shows("ActiveState", "SubState") == ["activating", "start"]
    assert UNIT in train.systemctl("show", "--value", "-p", "Wants", "multi-user.target")
    assert UNIT not in train.systemctl("show", "--value", "-p", "After", "multi-user.target"), "the start would wait"
    assert re.search(r"^edge-agent: not ready after 1 s: init: .*hub", train.run(*GREENBOOT, check=False))
    train.hub(lambda emulator: emulator.appear())
    train.until(lambda: active(train), "ready")
    train.until(lambda: train.driven_after(0), "armed as the settings say, it drives")
    train.until(lambda: train.run(*GREENBOOT, check=False).startswith("edge-agent: ready after"), "greenboot agrees")


def test_log_lines_are_fields_of_the_journal(train: Machine) -> None:
    told = [line for line in train.lines() if line.get("EDGE_AGENT_EVENT") == "guard"]
    assert "running" in [line["EDGE_AGENT_STATE"] for line in told]
    assert {line["PRIORITY"] for line in told} == {"6"}
    assert told[0]["CODE_FUNC"] == "step"
    assert told[0]["_SYSTEMD_UNIT"] == UNIT


def test_reload_reads_the_sign_rules_while_the_train_drives_on(train: Machine) -> None:
    before, since_s = train.shows("MainPID"), time.monotonic()
    train.systemctl("reload", UNIT)
    train.until(lambda: any(line.get("EDGE_AGENT_EVENT") == "sign_rules_read" for line in train.lines()), "read")

    good = train.run("cat", RULES)
    train.write(RULES, "signs: {stop: {action: fly}}\n")
    train.systemctl("reload", UNIT)
    train.until(lambda: train.status_says("running: ", "the old ones stay", "signs.yaml:1", "reload again"), "refused")
    assert active(train)

    train.write(RULES, good)
    train.systemctl("reload", UNIT)
    train.until(lambda: not train.status_says("the old ones stay"), "taken")
    assert train.shows("MainPID") == before
    assert train.braked_after(since_s) is None


def test_killed_process_is_braked_by_the_service_and_comes_back_disarmed(train: Machine) -> None:
    starts = restarts(train)
    at_s = train.strike("KILL")
    train.until(lambda: train.braked_after(at_s), "ExecStopPost brakes")
    train.until(lambda: active(train), "it is back")
    assert restarts(train) > starts
    train.until(lambda: train.status_says("disarmed: waits to be armed"), "disarmed, though `arm: always`")
    assert not train.driven_after(train.braked_after(at_s) or 0)


def test_stalled_loop_is_killed_by_the_watchdog_though_threads_live(train: Machine) -> None:
    watchdog_after(train, "USR1")


def test_stopped_process_is_killed_by_the_watchdog(train: Machine) -> None:
    watchdog_after(train, "STOP")


def watchdog_after(train: Machine, number: str) -> None:
    train.until(lambda: active(train), "it is up")
    starts = restarts(train)
    at_s = train.strike(number)
    train.until(lambda: restarts(train) > starts, "killed and started again")
    assert "Watchdog timeout" in train.journal()
    assert train.braked_after(at_s)


def test_service_that_is_stopped_brakes_and_ends_in_order(train: Machine) -> None:
    train.until(lambda: active(train), "it is up")
    at_s = time.monotonic()
    train.systemctl("stop", UNIT)
    assert train.shows("Result", "ExecMainStatus", "ActiveState") == ["success", "0", "inactive"]
    assert train.braked_after(at_s)


def test_bad_configuration_ends_with_78_and_is_not_tried_again(train: Machine) -> None:
    train.configure(EDGE_AGENT_CAPTURE__FPS="many")
    train.systemctl("start", UNIT, check=False)
    train.until(lambda: train.shows("ActiveState") == ["failed"], "failed")
    assert train.shows("ExecMainStatus", "NRestarts") == ["78", "0"]
    told = [line["MESSAGE"] for line in train.lines() if line["PRIORITY"] == "3" and "EDGE_AGENT_EVENT" in line]
    assert "EDGE_AGENT_CAPTURE__FPS" in told[-1]
    assert train.status_says(told[-1])
    assert train.run(*GREENBOOT, check=False).startswith("edge-agent: the service has failed (exit-code, exit 78): ")


# --- what is wrong on the machine: one line in the journal, and the status line says the same -------------------------


def errors(train: Machine) -> list[str]:
    """Return what the agent itself told as errors or warnings."""
    return [line["MESSAGE"] for line in train.lines() if line["PRIORITY"] in "34" and "EDGE_AGENT_EVENT" in line]


def test_missing_camera_is_told_and_looked_for_again(train: Machine) -> None:
    train.configure(**TRAIN | {"EDGE_AGENT_CAPTURE__SOURCE": "/dev/video7", "EDGE_AGENT_CAPTURE__OPEN_TIMEOUT_S": "2"})
    train.systemctl("start", "--no-block", UNIT)
    train.until(lambda: train.status_says("/dev/video7", "no camera is connected"), "the status line says it")
    assert "camera /dev/video7" in errors(train)[-1]
    train.until(lambda: train.shows("NRestarts") != ["0"], "tried again")
    train.systemctl("stop", UNIT)


def test_missing_credential_and_full_disk_are_told_by_a_train_that_goes_on(train: Machine) -> None:
    secret = f"/run/credentials/{UNIT}/edge-agent_mqtt.password"
    train.systemctl("stop", UNIT)
    train.run("mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", "/var/lib/edge-agent")
    train.configure(**TRAIN | {"EDGE_AGENT_MQTT__ENABLED": "true", "EDGE_AGENT_MQTT__PASSWORD_FILE": secret})
    train.systemctl("start", UNIT)
    train.until(lambda: train.status_says(f"mqtt.password_file: cannot read {secret}", "create it"), "it says so")
    assert train.status_says("disarmed: cannot be armed: ", "MB are free in /var/lib/edge-agent", "free at least 50 MB")
    told = "\n".join(errors(train))
    assert f"cannot read {secret}" in told
    assert "MB are free in /var/lib/edge-agent; free at least 50 MB" in told
    train.systemctl("stop", UNIT)
    train.run("umount", "/var/lib/edge-agent")


def test_wrong_group_and_read_only_state_are_told_by_a_train_that_goes_on(train: Machine) -> None:
    train.systemctl("stop", UNIT)
    broken = "[Service]\nSupplementaryGroups=\nReadOnlyPaths=/var/lib/edge-agent\n"
    train.write(f"/etc/systemd/system/{UNIT}.d/broken.conf", broken)
    train.run("sed", "-i", "/^bluetooth:/s/edge-agent//", "/etc/group")
    train.systemctl("daemon-reload")
    train.configure(**TRAIN | {"EDGE_AGENT_KAFKA__ENABLED": "true"})
    train.systemctl("start", "--no-block", UNIT)
    train.until(lambda: train.status_says("to the group `bluetooth`"), "no right to use Bluetooth")
    train.until(lambda: train.status_says("/var/lib/edge-agent is on a read-only file system"), "nowhere to write")
    told = "\n".join(errors(train))
    assert "to the group `bluetooth`" in told
    assert "is on a read-only file system" in told
    train.systemctl("stop", UNIT)
    train.run("rm", f"/etc/systemd/system/{UNIT}.d/broken.conf")


def test_sandbox_lets_the_detector_work_and_hands_secrets_over(train: Machine) -> None:
    """The same unit around other commands: ONNX Runtime's memory and the CPU's features, and LoadCredential."""
    train.write("/etc/edge-agent/credentials/mqtt.password", "secret")
    unit = train.run("cat", f"/etc/systemd/system/{UNIT}").replace("Type=notify", "Type=oneshot")
    kept = [line for line in unit.splitlines() if not line.startswith(("Exec", "Restart", "Watchdog", "RuntimeDir"))]
    at = kept.index("[Service]") + 1
    commands = ("config show", "detect --json /srv/checkout/docs/images/train-view.jpg")
    kept[at:at] = [f"ExecStart=/usr/bin/edge-agent {command}" for command in commands]
    train.write("/etc/systemd/system/sandbox.service", "\n".join(kept))
    train.configure(EDGE_AGENT_DETECTOR__BACKEND="onnxruntime")
    train.systemctl("daemon-reload")
    train.systemctl("start", "sandbox.service")
    told = train.run("journalctl", "-u", "sandbox.service", "-o", "cat", "--no-pager")
    assert "credential edge-agent_mqtt.password" in told
    assert '"detections"' in told
    assert "cpuinfo" not in told
