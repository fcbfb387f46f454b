"""TLS, client certificates and SASL, through a doorkeeper that checks them in front of a real broker."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.doctor import Status
from edge_agent.doctor.connections import check_kafka
from tests.observers.kafka.rig import Rig, rig, settings, until
from tests.support import events as make
from tests.support.certificates import Authority, alerting_server
from tests.support.kafka_brokers import Tansu
from tests.support.kafka_secure_proxy import SecureProxy, server_tls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Tansu]:
    """Give a broker that advertises the proxy's port."""
    running = Tansu(tmp_path / "tansu.log")
    with running:
        yield running


def secured(broker: Tansu, **options: Any) -> SecureProxy:
    """Put a proxy before the broker, and have the broker name the proxy to its clients."""
    proxy = SecureProxy(broker.port, **options)
    broker.kill()
    broker.advertised_port = proxy.port
    broker.start()
    return proxy


def tls_of(authority: Authority, *, clients: bool = False) -> Any:
    certificate, key = authority.issue("localhost")
    return server_tls(authority.file, certificate, key, clients=clients)


async def arrives(at: Rig) -> None:
    """Publish an event and see it acknowledged."""
    at.publish(make.fault("secured"))
    await until(lambda: at.mirror.stats().uplink.sent == 1, "the event is acknowledged")


async def refused(at: Rig, word: str) -> None:
    """Publish an event and see that it waits, and why."""
    at.publish(make.fault("refused"))
    await until(lambda: "kafka_refused" in at.codes(), "the refusal is told")
    fault = next(fault for fault in at.faults if fault.code == "kafka_refused")
    assert word in fault.message
    assert fault.remedy
    assert "s3cret" not in f"{fault}"
    await until(lambda: at.waiting == 1, "the event waits")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_password_lets_us_in_over_tls(
    tmp_path: Path, authority: Authority, broker: Tansu, mechanism: str
) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    with secured(broker, tls=tls_of(authority), users={"train": "s3cret"}) as proxy:
        config = settings(
            f"127.0.0.1:{proxy.port}",
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            username="train",
            password_file=tmp_path / "password",
            ca_file=authority.file,
        )
        async with rig(config, tmp_path / "outbox.db") as at:
            await arrives(at)
        assert set(proxy.admitted) == {f"train by {mechanism}"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_wrong_password_is_told_and_the_event_waits(tmp_path: Path, broker: Tansu, mechanism: str) -> None:
    (tmp_path / "password").write_text("not the s3cret")
    with secured(broker, users={"train": "s3cret"}) as proxy:
        config = settings(
            f"127.0.0.1:{proxy.port}",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            username="train",
            password_file=tmp_path / "password",
        )
        async with rig(config, tmp_path / "outbox.db") as at:
            await refused(at, "credentials")
            (tmp_path / "password").write_text("s3cret")  # put right while the agent runs
            await until(lambda: at.waiting == 0, "the event arrives")
            assert at.codes(active=False) == ["kafka_refused"]


async def test_client_certificate_lets_us_in(tmp_path: Path, authority: Authority, broker: Tansu) -> None:
    certificate, key = authority.issue("train-1")
    with secured(broker, tls=tls_of(authority, clients=True)) as proxy:
        config = settings(
            f"127.0.0.1:{proxy.port}",
            security_protocol="SSL",
            ca_file=authority.file,
            certificate_file=certificate,
            key_file=key,
        )
        async with rig(config, tmp_path / "outbox.db") as at:
            await arrives(at)


async def test_without_a_client_certificate_nothing_gets_through(
    tmp_path: Path, authority: Authority, broker: Tansu
) -> None:
    with secured(broker, tls=tls_of(authority, clients=True)) as proxy:
        config = settings(f"127.0.0.1:{proxy.port}", security_protocol="SSL", ca_file=authority.file)
        async with rig(config, tmp_path / "outbox.db") as at:
            at.publish(make.fault("refused"))
            await until(lambda: at.mirror.stats().uplink.failures > 1, "it was tried")
            await until(lambda: at.waiting == 1, "the event waits")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", [False, True])
async def test_client_certificate_that_is_required_is_named(
    tmp_path: Path, authority: Authority, version: ssl.TLSVersion, shown: bool
) -> None:
    context = tls_of(authority, clients=True)
    context.minimum_version = context.maximum_version = version
    files: dict[str, Path] = {}
    if shown:
        files["certificate_file"], files["key_file"] = Authority(tmp_path, "another authority").issue("train-1")
    with alerting_server(context) as port:
        config = settings(f"127.0.0.1:{port}", security_protocol="SSL", ca_file=authority.file, **files)
        async with rig(config, tmp_path / "outbox.db") as at:
            await refused(at, "does not accept our client certificate" if shown else "requires a client certificate")
        result = await check_kafka(config)
        assert (result.status, "client certificate" in result.message) == (Status.FAIL, True)
        assert "kafka.certificate_file" in result.remedy


async def test_doctor_logs_in_with_a_client_certificate(tmp_path: Path, authority: Authority, broker: Tansu) -> None:
    certificate, key = authority.issue("train-1")
    with secured(broker, tls=tls_of(authority, clients=True)) as proxy:
        config = settings(f"127.0.0.1:{proxy.port}", security_protocol="SSL", ca_file=authority.file)
        result = await check_kafka(config)
        assert (result.status, "client certificate" in result.message) == (Status.FAIL, True)
        config = settings(
            f"127.0.0.1:{proxy.port}",
            security_protocol="SSL",
            ca_file=authority.file,
            certificate_file=certificate,
            key_file=key,
        )
        assert (await check_kafka(config)).status is Status.OK
        await asyncio.sleep(0.2)  # aiokafka closes its connection without waiting for the end of TLS


@pytest.mark.parametrize(("password", "status"), [("right", Status.OK), ("wrong", Status.FAIL)])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_doctor_logs_in_with_the_password(broker: Tansu, mechanism: str, password: str, status: Status) -> None:
    with secured(broker, users={"train": "right"}) as proxy:
        config = settings(
            f"127.0.0.1:{proxy.port}",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            username="train",
            password=password,
        )
        result = await check_kafka(config)
    assert result.status is status, result
    assert password not in f"{result.message}{result.remedy}".replace("kafka.password", "")


async def test_broker_of_an_unknown_authority_is_not_trusted(
    tmp_path: Path, authority: Authority, broker: Tansu
) -> None:
    stranger = Authority(tmp_path, "another authority")
    with secured(broker, tls=tls_of(stranger)) as proxy:
        config = settings(f"127.0.0.1:{proxy.port}", security_protocol="SSL", ca_file=authority.file)
        async with rig(config, tmp_path / "outbox.db") as at:
            await refused(at, "TLS")
