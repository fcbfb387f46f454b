"""`edge-agent mirror`: the outbox's status, the live stream, and sending by hand."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edge_agent.cli.mirror import app
from edge_agent.config import KafkaSettings
from edge_agent.errors import EdgeAgentError, FatalError, RetryableError
from edge_agent.observers.kafka.encoder import RecordEncoder, compression_dictionary
from edge_agent.observers.outbox.file import OutboxLock
from edge_agent.observers.outbox.store import Budget, OutboxStore
from tests.support import events as make
from tests.support.kafka_brokers import Consumed, Tansu

TOP = typer.Typer()
TOP.add_typer(app, name="mirror")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a configuration in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    configure(tmp_path, "127.0.0.1:1")
    return tmp_path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Tansu]:
    with Tansu(tmp_path / "tansu.log") as running:
        yield running


def configure(folder: Path, address: str) -> None:
    (folder / "agent.yaml").write_text(
        f'kafka:\n  enabled: true\n  bootstrap_servers: ["{address}"]\n  send_timeout_s: 1\n'
        f"  outbox:\n    path: {folder / 'outbox.db'}\n"
    )


def fill(folder: Path, faults: int) -> None:
    settings = KafkaSettings()
    store = OutboxStore(folder / "outbox.db", Budget(), dictionary=compression_dictionary(settings, "train-1"))
    encode = RecordEncoder(settings, "train-1", lambda: make.UNIX_S)
    for number in range(faults):
        store.commit(encode(make.fault(f"event_{number}"), store.next_seq))
    store.close()


def call(*words: str) -> tuple[str, EdgeAgentError | None]:
    result = CliRunner().invoke(TOP, ["mirror", *words, "--config", "agent.yaml"])
    error = result.exception
    if error is not None and not isinstance(error, EdgeAgentError):
        raise error
    return result.stdout, error


def test_status_without_an_outbox_says_so(place: Path) -> None:
    text, error = call("status")
    assert error is None
    assert text == f"there is no outbox yet at {place / 'outbox.db'}\n"
    facts = json.loads(call("status", "--json")[0])
    assert (facts["exists"], facts["waiting"]) == (False, 0)
    assert not (place / "outbox.db").exists()


def test_status_shows_what_waits_by_kind(place: Path) -> None:
    fill(place, 3)
    text, _ = call("status")
    assert "3 messages wait, the oldest for" in text
    assert "not in use" in text
    assert any(line.split()[:2] == ["safety", "3"] for line in text.splitlines())
    facts = json.loads(call("status", "--json")[0])
    assert (facts["waiting"], facts["kinds"]["safety"]["appended"]) == (3, 3)
    assert facts["oldest_age_s"] is not None


def test_status_works_beside_a_running_agent(place: Path) -> None:
    fill(place, 1)
    lock = OutboxLock(place / "outbox.db")
    lock.acquire()
    try:
        assert "in use by an agent" in call("status")[0]
    finally:
        lock.release()


def test_status_names_dead_letters_and_what_was_set_aside(place: Path) -> None:
    fill(place, 2)
    (place / "outbox.db.broken-20260101T000000Z").write_bytes(b"x")
    store = OutboxStore(place / "outbox.db", Budget())
    store.dead_letter(store.read(0, 1, 10**6)[0].seq, "it is too large")
    store.close()
    text, _ = call("status")
    assert "1 dead letters: it is too large" in text
    assert "set aside as damaged" in text


@pytest.mark.parametrize("content", [b"no database" * 1000, None], ids=["damaged", "another program's"])
def test_status_of_a_file_that_is_no_outbox_fails_in_one_line(place: Path, content: bytes | None) -> None:
    if content is None:
        with sqlite3.connect(place / "outbox.db") as connection:
            connection.execute("CREATE TABLE photos (name TEXT)")
        connection.close()
    else:
        (place / "outbox.db").write_bytes(content)
    _, error = call("status")
    assert isinstance(error, FatalError)
    assert error.remedy
    assert "\n" not in str(error)


def test_drain_sends_what_waits_in_order(place: Path, broker: Tansu) -> None:
    configure(place, broker.address)
    fill(place, 40)
    with Consumed(broker.address, "edge-agent-events") as consumed:
        text, error = call("drain")
        assert error is None
        assert text.startswith("40 sent (")
        assert text.endswith("0 dead-lettered, 0 still wait\n")
        again = json.loads(call("drain", "--json")[0])
        assert (again["sent"], again["left"]) == (0, 0)
        consumed.wait(40)
    assert consumed.headers("ce_subject") == [f"event_{number}" for number in range(40)]


def test_drain_without_a_broker_ends_in_time_and_keeps_everything(place: Path) -> None:
    fill(place, 5)
    text, error = call("drain", "--timeout", "1")
    assert text == "0 sent (0 a second), 0 dead-lettered, 5 still wait\n"
    assert isinstance(error, RetryableError)
    assert "cannot be reached" in str(error)
    assert json.loads(call("status", "--json")[0])["waiting"] == 5


def test_drain_leaves_the_outbox_to_a_running_agent(place: Path) -> None:
    fill(place, 5)
    lock = OutboxLock(place / "outbox.db")
    lock.acquire()
    try:
        _, error = call("drain")
    finally:
        lock.release()
    assert isinstance(error, RetryableError)
    assert "another program holds the outbox" in str(error)


def test_drain_without_an_outbox_has_nothing_to_do(place: Path) -> None:
    text, error = call("drain")
    assert (text, error) == ("0 sent, 0 dead-lettered, 0 still wait\n", None)
    assert not (place / "outbox.db").exists()


@pytest.mark.parametrize("form", ["text", "json"])
def test_tail_shows_events_one_a_line(place: Path, broker: Tansu, form: str) -> None:
    configure(place, broker.address)
    fill(place, 3)
    call("drain")
    options = ["--json"] if form == "json" else []
    text, error = call("tail", "--from-start", "--count", "3", *options)
    assert error is None
    lines = text.splitlines()
    assert len(lines) == 3
    if form == "json":
        assert [json.loads(line)["data"]["code"] for line in lines] == ["event_0", "event_1", "event_2"]
    else:
        assert all("train-1  fault" in line for line in lines)


def test_tail_without_a_broker_fails_in_one_line(place: Path) -> None:
    _, error = call("tail")
    assert isinstance(error, RetryableError)
    assert "cannot be reached" in str(error)
