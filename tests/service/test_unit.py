"""The unit as systemd itself judges it: understood, hardened, and installed whole and removable."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.config import load

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "config" / "systemd" / "edge-agent.service"
NEWER_THAN_252 = ("RestartSteps", "RestartMaxDelaySec")
"""Keys that systemd of RHEL 9 does not know; it says so and goes on."""

MOST_EXPOSED = 2.0


def make(*words: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install everything but the program, for which a stand-in lies there."""
    make("install-files", f"DESTDIR={tmp_path}")
    for name in ("edge-agent", "kill"):
        program = tmp_path / "usr" / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return tmp_path


def complaints(root: Path) -> list[str]:
    """Return what `systemd-analyze verify` has against the unit below a root, but for keys that are too new for it."""
    for name in ("multi-user.target", "sysinit.target", "basic.target", "shutdown.target", "-.slice", "system.slice"):
        unit = root / "usr/lib/systemd/system" / name
        unit.write_text("[Unit]\nDefaultDependencies=no\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={root}", "edge-agent.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return [line for line in lines if not any(f"'{key}'" in line for key in NEWER_THAN_252)]


def test_systemd_understands_every_line_of_the_installed_unit(installed: Path) -> None:
    assert complaints(installed) == []


def test_unit_with_a_mistake_is_complained_of(installed: Path) -> None:
    """So that the check above can fail."""
    unit = installed / "usr/lib/systemd/system/edge-agent.service"
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps\nProtectHouse=yes"))
    (installed / "usr/bin/edge-agent").unlink()
    told = "\n".join(complaints(installed))
    assert "Failed to parse" in told
    assert "ProtectHouse" in told
    assert "edge-agent is not executable" in told


def test_unit_is_exposed_by_at_most_two() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for edge-agent.service: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= MOST_EXPOSED
    assert done.returncode == 0


def test_install_leaves_what_an_operator_changed(installed: Path) -> None:
    rules = installed / "etc/edge-agent/signs.yaml"
    rules.write_text(rules.read_text() + "# mine\n")
    make("install-files", f"DESTDIR={installed}")
    assert rules.read_text().endswith("# mine\n")
    assert (installed / "etc/edge-agent/signs.yaml.new").read_text() == (ROOT / "config/signs.yaml").read_text()
    assert not (installed / "etc/edge-agent/agent.yaml.new").exists()


def test_installed_settings_are_good_and_use_the_installed_rules(installed: Path) -> None:
    settings = load(installed / "etc/edge-agent/agent.yaml", environ={}, profile="jetson").settings
    assert settings.policy.rules == installed / "etc/edge-agent/signs.yaml"
    assert settings.hub.kind == "ble"


def test_another_prefix_is_written_into_the_unit(tmp_path: Path) -> None:
    make("install-files", f"DESTDIR={tmp_path}", "PREFIX=/usr/local")
    unit = (tmp_path / "usr/local/lib/systemd/system/edge-agent.service").read_text()
    assert "ExecStart=/usr/local/bin/edge-agent run" in unit
    assert "/usr/bin/edge-agent" not in unit


def test_uninstall_leaves_nothing_but_the_configuration(installed: Path) -> None:
    make("install-files", f"DESTDIR={installed}", "GPU=yes")
    make("uninstall", f"DESTDIR={installed}")
    left = {path.relative_to(installed).parts[:2] for path in installed.rglob("*") if path.is_file()}
    assert left == {("etc", "edge-agent"), ("usr", "bin")}
    assert [path.name for path in (installed / "usr/bin").iterdir()] == ["kill"]


# --- the package -------------------------------------------------------------------------------------------------

needs_rpm = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="no rpmbuild here")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package without the program, from the files of this checkout."""
    top = tmp_path_factory.mktemp("rpm")
    (top / "SOURCES").mkdir()
    names = ["Makefile", "LICENSE", "config", "docs/deploy.md", "docs/operate.md"]
    prefix = "s,^,edge-agent-0.1.0/,"
    archive = top / "SOURCES" / "edge-agent-0.1.0.tar.gz"
    subprocess.run(["tar", "czf", archive, "--transform", prefix, *names], cwd=ROOT, check=True)
    command = ["rpmbuild", "-bb", "--quiet", "--without", "program", "--define", f"_topdir {top}", "--nodeps"]
    done = subprocess.run([*command, ROOT / "config/rpm/edge-agent.spec"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = (top / "RPMS").rglob("*.rpm")
    return built


@needs_rpm
def test_package_holds_what_make_installs(package: Path, installed: Path) -> None:
    told = subprocess.run(["rpm", "-qlp", package], capture_output=True, text=True, check=True).stdout.splitlines()
    files = {f"/{path.relative_to(installed)}" for path in installed.rglob("*") if path.is_file()}
    assert files - {"/usr/bin/edge-agent", "/usr/bin/kill"} <= set(told)


@needs_rpm
def test_package_keeps_configuration_on_an_update(package: Path) -> None:
    told = subprocess.run(["rpm", "-qcp", package], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"/etc/edge-agent/agent.yaml", "/etc/edge-agent/signs.yaml", "/etc/edge-agent/environment"} <= set(told)


@needs_rpm
def test_spec_with_the_program_is_understood() -> None:
    done = subprocess.run(
        ["rpmspec", "-P", ROOT / "config/rpm/edge-agent.spec"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "make install DESTDIR=" in done.stdout
    assert "%{" not in done.stdout.replace("%{buildroot}", ""), "an unknown macro"


# --- the container -----------------------------------------------------------------------------------------------


def test_quadlet_says_what_the_unit_says() -> None:
    """Podman's generator is in no package here: the keys that both have must agree, and its own must be known ones."""
    unit, quadlet = keys(UNIT), keys(ROOT / "config/quadlet/edge-agent.container")
    same = (
        "Restart",
        "RestartPreventExitStatus",
        "RestartSec",
        "WatchdogSec",
        "WatchdogSignal",
        "RuntimeDirectoryPreserve",
    )
    assert {key: quadlet[key] for key in same} == {key: unit[key] for key in same}
    assert quadlet["ExecStopPost"][0].endswith(" hub brake")
    assert quadlet["Notify"] == ["true"]
    assert quadlet["TimeoutStartSec"] == ["infinity"], "conmon passes no EXTEND_TIMEOUT_USEC on"
    assert f"WATCHDOG_USEC={int(unit['WatchdogSec'][0].rstrip('s')) * 1_000_000}" in quadlet["Environment"]
    for name in re.findall(r"\S+\.volume", " ".join(quadlet["Volume"])):
        assert (ROOT / "config/quadlet" / name.partition(":")[0]).is_file()


def keys(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


# --- scripts -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck here")
@pytest.mark.parametrize(
    "script", ["config/greenboot/required.d/50_edge_agent.sh", "tests/service/boot.sh", "tests/system-packages"]
)
def test_shell_script_has_no_complaint_of_shellcheck(script: str) -> None:
    done = subprocess.run(["shellcheck", ROOT / script], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert os.access(ROOT / script, os.X_OK)
