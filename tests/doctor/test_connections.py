"""The checks of MQTT and Kafka, against real sockets of this machine."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge_agent.config import ConsoleSettings, KafkaSettings, MqttSettings, Settings
from edge_agent.doctor import connections
from edge_agent.doctor.check import Status
from edge_agent.doctor.connections import check_console, check_kafka, check_mqtt
from edge_agent.errors import ConfigError
from edge_agent.observers.mqtt.client import MqttConnection
from tests.support.kafka_brokers import Tansu
from tests.support.mosquitto import Mosquitto, passwords
from tests.support.proxy import free_port


@pytest.fixture
def open_port() -> Iterator[int]:
    """Give a port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port that nothing else can take and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_brokers_that_are_off_are_well() -> None:
    assert (await check_mqtt(MqttSettings())).message == "off"
    assert (await check_kafka(KafkaSettings())).message == "off"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give an MQTT broker that knows one user."""
    lines = ("allow_anonymous false", f"password_file {passwords(tmp_path, 'train', 'right')}")
    with Mosquitto(tmp_path, *lines) as running:
        yield running


def login(port: int, password: str = "right") -> MqttSettings:  # noqa: S107
    return MqttSettings(enabled=True, port=port, username="train", password=SecretStr(password))


async def test_mqtt_broker_that_admits_us_is_well(broker: Mosquitto) -> None:
    result = await check_mqtt(login(broker.port))
    assert (result.status, result.message) == (Status.OK, f"127.0.0.1:{broker.port} admits us")


async def test_mqtt_broker_that_refuses_the_password_fails(broker: Mosquitto) -> None:
    result = await check_mqtt(login(broker.port, "wrong"))
    assert (result.status, "does not accept our credentials" in result.message) == (Status.FAIL, True)
    assert "mqtt.password_file" in result.remedy


async def test_mqtt_login_does_not_throw_out_the_agent_that_runs(broker: Mosquitto) -> None:
    running = MqttConnection(login(broker.port), "train-1", None, asyncio.Queue)
    await running.open()
    await check_mqtt(login(broker.port))
    await running.subscribe({"still/there": 0})
    await running.close()


async def test_program_that_is_no_mqtt_broker_fails(open_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LOGIN_LIMIT_S", 0.05)
    result = await check_mqtt(MqttSettings(enabled=True, port=open_port))
    assert (result.status, result.message) == (Status.FAIL, f"127.0.0.1:{open_port} does not answer our login")


async def test_default_id_is_a_warning_with_a_broker(broker: Mosquitto) -> None:
    result = await check_mqtt(login(broker.port), default_id=True)
    assert (result.status, "train.id" in result.remedy) == (Status.WARN, True)
    assert (await check_mqtt(MqttSettings(), default_id=True)).status is Status.OK


async def test_mqtt_broker_that_does_not_listen_fails(closed_port: int) -> None:
    result = await check_mqtt(MqttSettings(enabled=True, port=closed_port))
    assert (result.status, result.message) == (Status.FAIL, f"127.0.0.1:{closed_port}: nothing listens there")
    assert "the train drives without it" in result.remedy


async def test_mqtt_broker_that_never_answers_fails_within_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def black_hole(host: str, port: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", black_hole)
    result = await check_mqtt(MqttSettings(enabled=True), limit_s=0.01)
    assert (result.status, result.message) == (Status.FAIL, "127.0.0.1:1883: no answer within 0.01 s")


async def test_mqtt_host_that_does_not_exist_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(host: str, port: int) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio, "open_connection", unknown)
    assert (await check_mqtt(MqttSettings(enabled=True, host="broker"))).message == "broker:1883: unknown host name"


async def test_mqtt_password_file_that_is_missing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.password_file"):
        await check_mqtt(MqttSettings(enabled=True, password_file=tmp_path / "none"))


async def test_kafka_with_one_of_two_brokers_warns_and_names_the_other(tmp_path: Path, closed_port: int) -> None:
    with Tansu(tmp_path / "tansu.log") as kafka:
        servers = (kafka.address, f"127.0.0.1:{closed_port}")
        await _with_one_of_two(servers, closed_port)


async def _with_one_of_two(servers: tuple[str, str], closed_port: int) -> None:
    result = await check_kafka(KafkaSettings(enabled=True, bootstrap_servers=servers))
    assert (result.status, result.message) == (Status.WARN, f"127.0.0.1:{closed_port}: nothing listens there")


async def test_program_that_is_no_kafka_broker_fails(open_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LOGIN_LIMIT_S", 0.05)
    result = await check_kafka(KafkaSettings(enabled=True, bootstrap_servers=(f"127.0.0.1:{open_port}",)))
    assert result.status is Status.FAIL


async def test_kafka_broker_that_admits_us_is_well(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as kafka:
        result = await check_kafka(KafkaSettings(enabled=True, bootstrap_servers=(kafka.address,)))
    assert (result.status, result.message) == (Status.OK, f"{kafka.address} admits us")


async def test_kafka_without_any_broker_fails(closed_port: int) -> None:
    result = await check_kafka(KafkaSettings(enabled=True, bootstrap_servers=(f"127.0.0.1:{closed_port}",)))
    assert result.status is Status.FAIL


async def test_kafka_broker_by_its_ipv6_address_is_asked_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    async def refuse(host: str, port: int) -> None:
        asked.append((host, port))
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    await check_kafka(KafkaSettings(enabled=True, bootstrap_servers=("[::1]:9092",)))
    assert asked == [("::1", 9092)]


def page(**console: object) -> Settings:
    return Settings(console=ConsoleSettings.model_validate(console))


@pytest.mark.parametrize(
    ("console", "status", "told"),
    [
        ({}, Status.OK, "prints a link with a token"),
        ({"host": "0.0.0.0"}, Status.WARN, "can neither arm nor stop"),  # noqa: S104 - as the profile booth has it
        ({"host": "0.0.0.0", "token": "secret"}, Status.OK, "commands need its token"),  # noqa: S104
        ({"host": "192.0.2.7"}, Status.FAIL, "cannot listen on 192.0.2.7"),
    ],
)
async def test_page_that_takes_no_commands_is_told(console: dict[str, object], status: Status, told: str) -> None:
    result = await check_console(page(port=free_port(), **console))
    assert (result.status, told in result.message) == (status, True), result


async def test_port_of_the_page_that_is_taken_is_told(open_port: int) -> None:
    result = await check_console(page(port=open_port))
    assert (result.status, result.message) == (Status.WARN, f"a program listens on 127.0.0.1:{open_port}")


async def test_token_of_the_page_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"console\.token_file"):
        await check_console(page(token_file=tmp_path / "none"))


async def test_page_that_is_off_is_well() -> None:
    assert (await check_console(page(enabled=False))).message == "off"
