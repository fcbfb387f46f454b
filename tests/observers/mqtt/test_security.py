"""TLS, certificates, passwords and access rules, against a Mosquitto that requires them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiomqtt import Client, ProtocolVersion
from pydantic import SecretStr

from edge_agent.config import MqttSettings
from edge_agent.faults import MQTT_UNREACHABLE
from edge_agent.observers.mqtt.client import tls_context
from tests.observers.mqtt.rig import ROOT, Rig, body, rig, settings
from tests.support import events as make
from tests.support.certificates import Authority
from tests.support.faults import grace
from tests.support.mosquitto import Mosquitto, password_file, subscriber, until
from tests.support.proxy import free_port

PASSWORDS = {"train": "chuff chuff", "operator": "all aboard", "stranger": "who"}

ACCESS_RULES = """\
user train
topic write edge-agent/train-1/#
topic deny edge-agent/train-1/fault
topic read edge-agent/train-1/stop/set
topic read edge-agent/train-1/emergency_stop/set

user operator
topic readwrite edge-agent/#
"""


@dataclass
class SecureBroker:
    """A broker with TLS, passwords and access rules, and the certificates to connect to it."""

    broker: Mosquitto
    authority: Authority
    other: Authority

    def settings(self, *, tls: dict[str, Any] | None = None, **changes: Any) -> MqttSettings:
        encryption: dict[str, Any] = {"enabled": True, "ca_file": self.authority.file} | (tls or {})
        credentials = {"username": "train", "password": SecretStr(PASSWORDS["train"])}
        return settings(self.broker.port, **(credentials | {"tls": encryption} | changes))

    def operator(self) -> Any:
        context = tls_context(self.settings())
        return subscriber(self.broker.port, username="operator", password=PASSWORDS["operator"], tls_context=context)


def build(folder: Path, *more: str, host: str = "127.0.0.1") -> SecureBroker:
    authority = Authority(folder)
    certificate, key = authority.issue("broker")
    rules = folder / "rules"
    rules.write_text(ACCESS_RULES)
    rules.chmod(0o600)
    lines = (
        "allow_anonymous false",
        f"password_file {password_file(folder, PASSWORDS)}",
        f"acl_file {rules}",
        f"cafile {authority.file}",
        f"certfile {certificate}",
        f"keyfile {key}",
        *more,
    )
    return SecureBroker(Mosquitto(folder, *lines, host=host), authority, Authority(folder, "another authority"))


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureBroker]:
    secure = build(tmp_path)
    with secure.broker:
        yield secure


async def reported(train: Rig, code: str) -> str:
    """Wait until the mirror reports `code`; return message and remedy."""
    await until(lambda: code in train.codes(), f"{code}: {train.faults}")
    fault = next(fault for fault in train.faults if fault.code == code)
    return f"{fault.message}; {fault.remedy}"


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_train_with_a_password_connects_by_tls(secure: SecureBroker, version: str) -> None:
    async with secure.operator() as operator, rig(secure.settings(version=version)) as train:
        await train.wait_connected()
        train.publish(make.decision(make.frame()))
        await operator.wait_for(f"{ROOT}/decision")
        assert train.faults == [] or version == "5"


async def test_password_from_a_file_is_accepted(secure: SecureBroker, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORDS["train"] + "\n")
    async with rig(secure.settings(password=None, password_file=file)) as train:
        await train.wait_connected()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_wrong_password_is_reported_at_once_and_shown_nowhere(secure: SecureBroker, version: str) -> None:
    with structlog.testing.capture_logs() as logs:
        wrong = SecretStr("hunter2")
        async with rig(secure.settings(version=version, password=wrong)) as train:
            words = await reported(train, "mqtt_refused")
    assert "does not accept our credentials" in words
    assert "mqtt.password_file" in words
    assert "hunter2" not in words + json.dumps(logs, default=str)


async def test_broker_of_another_authority_is_not_trusted(secure: SecureBroker) -> None:
    async with rig(secure.settings(tls={"ca_file": secure.other.file})) as train:
        assert "TLS handshake" in await reported(train, "mqtt_refused")
        assert not train.connected


@pytest.mark.parametrize("check", [True, False])
async def test_broker_whose_certificate_names_another_host_is_trusted_only_with_the_check_off(
    tmp_path: Path, check: bool
) -> None:
    """The certificate names 127.0.0.1 and localhost."""
    secure = build(tmp_path, host="127.0.0.2")
    with secure.broker:
        async with rig(secure.settings(host="127.0.0.2", tls={"check_hostname": check})) as train:
            if check:
                assert "TLS handshake" in await reported(train, "mqtt_refused")
            else:
                await train.wait_connected()


async def test_train_with_a_certificate_needs_no_password_where_the_broker_accepts_certificates(tmp_path: Path) -> None:
    secure = build(tmp_path, "require_certificate true", "use_identity_as_username true")
    certificate, key = secure.authority.issue("train")
    mutual = {"certificate_file": certificate, "key_file": key}
    with secure.broker:
        async with rig(secure.settings(username=None, password=None, tls=mutual)) as train:
            await train.wait_connected()


async def test_certificate_that_the_broker_requires_and_the_train_lacks_is_reported(
    tmp_path: Path,
) -> None:
    """With TLS 1.3 the broker completes the handshake and closes the connection afterwards."""
    secure = build(tmp_path, "require_certificate true")
    with secure.broker, grace(0.0, MQTT_UNREACHABLE):
        async with rig(secure.settings(connect_timeout_s=1.0)) as train:
            words = await reported(train, "mqtt_unreachable")
    assert "closes the connection without an answer" in words
    assert "mqtt.tls" in words


async def test_plain_connection_to_a_broker_with_tls_is_reported(
    secure: SecureBroker,
) -> None:
    with grace(0.0, MQTT_UNREACHABLE):
        async with rig(settings(secure.broker.port, connect_timeout_s=1.0)) as train:
            assert "closes the connection without an answer" in await reported(train, "mqtt_unreachable")


@pytest.mark.parametrize("key", ["ca_file", "certificate_file"])
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_unusable_file_is_reported_with_its_key(
    secure: SecureBroker, tmp_path: Path, key: str, content: str | None
) -> None:
    file = tmp_path / "odd.pem"
    if content is not None:
        file.write_text(content)
    tls = {key: file} | ({"key_file": file} if key == "certificate_file" else {})
    async with rig(secure.settings(tls=tls)) as train:
        words = await reported(train, "mqtt_settings")
    assert f"mqtt.tls.{key}" in words
    assert "odd.pem" in words


async def test_missing_password_file_is_reported_while_there_is_no_broker(tmp_path: Path) -> None:
    file = tmp_path / "password"
    async with rig(settings(free_port(), password_file=file)) as train:
        words = await reported(train, "mqtt_settings")
    assert f"mqtt.password_file: cannot read {file}" in words


async def test_key_with_a_passphrase_is_reported_and_not_prompted_for(secure: SecureBroker) -> None:
    certificate, key = secure.authority.issue("locked", b"secret")
    async with rig(secure.settings(tls={"certificate_file": certificate, "key_file": key})) as train:
        words = await reported(train, "mqtt_settings")
    assert "without a passphrase" in words


async def test_publish_that_the_access_rules_forbid_does_not_hold_up_the_rest(secure: SecureBroker) -> None:
    """Aiomqtt returns normally from such a publish and does not pass on the reason code of MQTT 5."""
    async with secure.operator() as operator, rig(secure.settings()) as train:
        await train.wait_connected()
        train.publish(make.fault(), make.fault(), make.decision(make.frame()))
        await operator.wait_for(f"{ROOT}/decision")
        stats = train.mirror.stats().link
        assert (stats.failures, stats.attempts) == (0, 1)
        assert not operator.on(f"{ROOT}/fault")


async def test_stranger_cannot_command_through_the_access_rules(secure: SecureBroker) -> None:
    context = tls_context(secure.settings())
    stranger = Client(
        "127.0.0.1",
        secure.broker.port,
        username="stranger",
        password=PASSWORDS["stranger"],
        tls_context=context,
        protocol=ProtocolVersion.V5,
    )
    async with secure.operator() as operator, rig(secure.settings()) as train, stranger:
        await train.wait_connected()
        await stranger.publish(f"{ROOT}/stop/set", b"from a stranger", qos=1)
        await operator.client.publish(f"{ROOT}/stop/set", b"from an operator", qos=1)
        await operator.wait_for(f"{ROOT}/stop/reply")
        assert len(train.obeyed) == 1


async def test_access_rules_of_the_documentation_suffice_for_each_user(tmp_path: Path) -> None:
    documented = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text()
    block = documented.split("# acl_file of Mosquitto\n")[1].split("```")[0]
    rules = tmp_path / "rules"
    rules.write_text(block)
    rules.chmod(0o600)
    passwords = password_file(tmp_path, {"train-1": "t", "operator": "o"})
    lines = ("allow_anonymous false", f"password_file {passwords}", f"acl_file {rules}")
    with Mosquitto(tmp_path, *lines) as broker:
        config = settings(
            broker.port, username="train-1", password=SecretStr("t"), images=True, home_assistant={"enabled": True}
        )
        client = subscriber(broker.port, username="operator", password="o")  # noqa: S106
        async with client as operator, rig(config) as train:
            await train.wait_connected()
            train.publish(*make.one_of_each())
            for name in ("state", "decision", "fault", "prediction", "command", "image", "telemetry"):
                await operator.wait_for(f"{ROOT}/{name}")
            await operator.client.publish(f"{ROOT}/drive/set", body(), qos=1)
            await operator.wait_for(f"{ROOT}/drive/reply")
            assert len(train.obeyed) == 1
            assert train.codes() == []
        assert not operator.on(f"{ROOT}/drive/set"), "only the train reads a token"
