"""Settings become arguments of aiokafka; its errors become words for people."""

import ssl
from pathlib import Path

import pytest
from aiokafka import errors as kafka_errors
from pydantic import SecretStr

from edge_agent.config import KafkaSettings
from edge_agent.errors import ConfigError
from edge_agent.observers.kafka.client import client_arguments, link_error
from tests.support.certificates import Authority


def test_plain_settings_need_neither_tls_nor_sasl() -> None:
    arguments = client_arguments(KafkaSettings(bootstrap_servers=("a:1", "b:2"), send_timeout_s=2.5), "edge-agent-t")
    assert arguments["bootstrap_servers"] == ["a:1", "b:2"]
    assert arguments["request_timeout_ms"] == 2500
    assert arguments["security_protocol"] == "PLAINTEXT"
    assert not [key for key in arguments if key.startswith(("ssl", "sasl"))]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_takes_the_password_from_the_file_at_the_moment_of_use(tmp_path: Path, mechanism: str) -> None:
    file = tmp_path / "password"
    settings = KafkaSettings.model_validate(
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": mechanism,
            "username": "train",
            "password_file": file,
        }
    )
    for password in ("first", "rotated"):
        file.write_text(password + "\n")
        arguments = client_arguments(settings, "c")
        assert arguments["sasl_mechanism"] == mechanism
        assert arguments["sasl_plain_username"] == "train"
        assert arguments["sasl_plain_password"] == password


def test_password_from_the_environment_is_taken() -> None:
    settings = KafkaSettings(security_protocol="SASL_SSL", username="train", password=SecretStr("hidden"))
    assert client_arguments(settings, "c")["sasl_plain_password"] == "hidden"  # noqa: S105


def test_mutual_tls_loads_the_clients_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("train-1")
    settings = KafkaSettings(
        security_protocol="SSL", ca_file=authority.file, certificate_file=certificate, key_file=key
    )
    context = client_arguments(settings, "c")["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [found["subject"] for found in context.get_ca_certs()] == [((("commonName", "test authority"),),)]


def sasl_without_password(_: Path) -> KafkaSettings:
    return KafkaSettings(security_protocol="SASL_PLAINTEXT", username="train")


def missing_authority(folder: Path) -> KafkaSettings:
    return KafkaSettings(security_protocol="SSL", ca_file=folder / "missing.pem")


def authority_that_is_no_pem(folder: Path) -> KafkaSettings:
    (folder / "ca.pem").write_text("this is secret-looking text, but no PEM")
    return KafkaSettings(security_protocol="SSL", ca_file=folder / "ca.pem")


def key_of_another_certificate(folder: Path) -> KafkaSettings:
    authority = Authority(folder)
    certificate, _ = authority.issue("one")
    _, key = authority.issue("other")
    return KafkaSettings(security_protocol="SSL", certificate_file=certificate, key_file=key)


def key_with_a_passphrase(folder: Path) -> KafkaSettings:
    certificate, key = Authority(folder).issue("one", passphrase=b"secret")
    return KafkaSettings(security_protocol="SSL", certificate_file=certificate, key_file=key)


@pytest.mark.parametrize(
    "make",
    [
        sasl_without_password,
        missing_authority,
        authority_that_is_no_pem,
        key_of_another_certificate,
        key_with_a_passphrase,
    ],
)
def test_unusable_file_is_told_in_one_line_without_its_content(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError) as caught:
        client_arguments(make(tmp_path), "c")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (ConnectionRefusedError(), "kafka_unreachable", "cannot be reached"),
        (kafka_errors.KafkaConnectionError(), "kafka_unreachable", "cannot be reached"),
        (TimeoutError(), "kafka_unreachable", "does not answer"),
        (kafka_errors.RequestTimedOutError(), "kafka_unreachable", "does not answer"),
        (ssl.SSLCertVerificationError(), "kafka_refused", "TLS"),
        (kafka_errors.SaslAuthenticationFailed(), "kafka_refused", "credentials"),
        (kafka_errors.TopicAuthorizationFailedError(), "kafka_refused", "topic edge-agent-events"),
        (kafka_errors.UnknownTopicOrPartitionError(), "kafka_topic_missing", "no topic edge-agent-events"),
        (ConfigError("kafka.ca_file: gone", remedy="name it"), "kafka_settings", "kafka.ca_file: gone"),
        (AssertionError("internal"), "kafka_unreachable", "AssertionError"),
    ],
)
def test_error_is_told_by_its_class_with_a_remedy(error: Exception, code: str, word: str) -> None:
    meaning = link_error(error, KafkaSettings(bootstrap_servers=("broker:9092",)), "edge-agent-events")
    assert (meaning.kind.code, word in meaning.message, bool(meaning.remedy)) == (code, True, True)


def test_answer_that_aiokafka_cannot_read_means_credentials_only_with_sasl() -> None:
    sasl = KafkaSettings(security_protocol="SASL_PLAINTEXT", username="train")
    assert link_error(KeyError("v"), sasl, "t").kind.code == "kafka_refused"
    assert link_error(KeyError("v"), KafkaSettings(), "t").kind.code == "kafka_unreachable"


@pytest.mark.parametrize("checked", [True, False])
def test_names_may_go_unchecked_and_the_authority_may_not(tmp_path: Path, checked: bool) -> None:
    authority = Authority(tmp_path)
    settings = KafkaSettings(security_protocol="SSL", ca_file=authority.file, check_hostname=checked)
    context = client_arguments(settings, "c")["ssl_context"]
    assert (context.check_hostname, context.verify_mode) == (checked, ssl.CERT_REQUIRED)
