"""The broker's settings of config/microshift under a broker that runs: who gets in, and who may read and write what."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiomqtt import Client, MqttError, ProtocolVersion

from tests.deploy.promtool import ROOT
from tests.support.certificates import Authority
from tests.support.mosquitto import PATIENCE_S, Mosquitto, password_file

FOLDER = ROOT / "config/microshift/base/mosquitto"
WORD = "secret"
USERS = ("train-1", "train-2", "operator")


class Broker:
    """The broker, and how to connect to it as somebody."""

    def __init__(self, broker: Mosquitto, authority: Authority) -> None:
        self._port = broker.port
        self._trust = ssl.create_default_context(cafile=authority.file)

    def client(self, user: str | None, password: str = WORD) -> Client:
        return Client(
            "127.0.0.1",
            self._port,
            username=user,
            password=password if user else None,
            protocol=ProtocolVersion.V5,
            tls_context=self._trust,
            timeout=PATIENCE_S,
        )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("mosquitto")
    places = {
        "/run/secrets/mosquitto/users/passwords": password_file(tmp_path, dict.fromkeys(USERS, WORD)),
        "/etc/mosquitto/acl": tmp_path / "acl",
        "/run/secrets/mosquitto/tls/tls.crt": certificate,
        "/run/secrets/mosquitto/tls/tls.key": key,
    }
    (tmp_path / "acl").write_text((FOLDER / "acl").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "acl").chmod(0o600)
    text = (FOLDER / "mosquitto.conf").read_text(encoding="utf-8")
    for there, here in places.items():
        assert there in text
        text = text.replace(there, str(here))
    ours = ("listener ", "persistence ", "log_")  # the test's broker has its own
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", *ours))]
    with Mosquitto(tmp_path, *lines) as running:
        yield Broker(running, authority)


async def next_topic(client: Client) -> str:
    async with asyncio.timeout(PATIENCE_S):
        message = await anext(aiter(client.messages))
    return str(message.topic)


async def test_command_of_the_operator_reaches_its_train_and_no_other(broker: Broker) -> None:
    async with (
        broker.client("train-1") as first,
        broker.client("train-2") as second,
        broker.client("operator") as operator,
    ):
        await first.subscribe("edge-agent/train-1/+/set")
        await second.subscribe("edge-agent/#")
        await operator.publish("edge-agent/train-1/stop/set", qos=1)
        await operator.publish("edge-agent/train-2/drive/set", qos=1)
        assert await next_topic(first) == "edge-agent/train-1/stop/set"
        assert await next_topic(second) == "edge-agent/train-2/drive/set", "what went to the other did not come here"


async def test_train_speaks_for_itself_only(broker: Broker) -> None:
    async with (
        broker.client("train-1") as first,
        broker.client("train-2") as second,
        broker.client("operator") as operator,
    ):
        await operator.subscribe("edge-agent/+/+")
        await second.publish("edge-agent/train-1/state", "forged", qos=1)
        await first.publish("edge-agent/train-1/state", "true", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(aiter(operator.messages))).payload == b"true"


@pytest.mark.parametrize(("user", "password"), [(None, ""), ("operator", "wrong"), ("stranger", WORD)])
async def test_who_shows_no_good_password_is_refused(broker: Broker, user: str | None, password: str) -> None:
    with pytest.raises(MqttError):
        async with broker.client(user, password):
            pass
