"""Who may command, and what is said to those who may not."""

import asyncio
import json
from ipaddress import ip_address
from pathlib import Path

import pytest
import structlog

from edge_agent.console.access import MAX_COMMANDS_PER_S, MAX_FAILURES, ClientRateLimiter
from edge_agent.errors import RetryableError
from tests.console.rig import TOKEN, Rig, console, result
from tests.support import events as make

PROXY = {"user_header": "X-Forwarded-User"}


async def test_command_with_the_token_reaches_the_train_and_its_answer_comes_back() -> None:
    async with console() as rig:
        rig.publish(make.state())
        answer = await rig.command(verb="rearm", reason="track is clear")
        assert answer.status == 200
        body = answer.json
        assert (body["answered"], body["accepted"], body["state"], body["reason"]) == (
            True,
            True,
            "running",
            "clear track",
        )
        ((train_id, command),) = rig.train.commands
        assert (train_id, command.verb, command.token, command.reason) == ("train-1", "rearm", TOKEN, "track is clear")
        assert command.sender == "token holder at 127.0.0.1"


async def test_refusal_of_the_train_is_told_in_its_words() -> None:
    async with console() as rig:
        rig.publish(make.state())
        rig.train.result = result(False, None, "given 20.0 s ago")
        body = (await rig.command()).json
        assert (body["answered"], body["accepted"], body["reason"]) == (True, False, "given 20.0 s ago")


async def test_train_that_does_not_answer_is_told_as_that() -> None:
    async with console() as rig:
        rig.publish(make.state())
        rig.train.result = None
        answer = await rig.command(verb="emergency_stop")
        assert answer.status == 504
        assert answer.json["answered"] is False
        assert answer.json["reason"].startswith("not acknowledged within 2 s")


async def test_command_that_cannot_be_sent_is_told_with_the_remedy() -> None:
    async with console() as rig:
        rig.publish(make.state())
        rig.train.error = RetryableError("Kafka is away", remedy="check the uplink")
        answer = await rig.command()
        assert (answer.status, answer.json) == (503, {"error": "Kafka is away", "remedy": "check the uplink"})


async def test_all_trains_are_stopped_by_one_command_each_under_an_id_of_its_own() -> None:
    async with console() as rig:
        for train_id in ("red", "blue", "green"):
            rig.publish(make.state(), train_id=train_id)
        answer = await rig.post("/api/commands", verb="emergency_stop")
        told = {each["train_id"]: each["answer"]["accepted"] for each in answer.json["answers"]}
        assert (answer.status, told) == (200, {"red": True, "blue": True, "green": True})
        assert len({command.command_id for _, command in rig.train.commands}) == 3
        sent = {(train_id, command.verb) for train_id, command in rig.train.commands}
        assert sent == {(train_id, "emergency_stop") for train_id in told}


async def test_train_that_does_not_answer_keeps_no_other_from_being_stopped() -> None:
    async with console() as rig:
        rig.publish(make.state(), train_id="red")
        rig.publish(make.state(), train_id="blue")
        rig.train.silent = "blue"
        answers = (await rig.post("/api/commands", verb="stop")).json["answers"]
        assert {each["train_id"]: each["answer"]["answered"] for each in answers} == {"red": True, "blue": False}


async def test_all_trains_at_once_can_only_be_stopped() -> None:
    async with console() as rig:
        rig.publish(make.state())
        assert (await rig.post("/api/commands", verb="drive")).status == 400
        assert (await rig.post("/api/commands", headers={"Authorization": None})).status == 401
        assert (await rig.post("/api/commands", headers={"Origin": "http://evil.example"})).status == 403
        assert rig.train.commands == []


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {"Authorization": None}, 401),
        ({}, {"Authorization": "Bearer wrong"}, 401),
        ({}, {"Authorization": "Bearer "}, 401),
        ({}, {"Authorization": "Bearer \xe9"}, 401),
        ({}, {"Authorization": f"Basic {TOKEN}"}, 401),
        ({}, {"Authorization": None, "Cookie": f"token={TOKEN}"}, 401),
        ({}, {"Authorization": None, "X-Forwarded-User": "mallory"}, 401),
        ({"token": None}, {}, 403),
        ({"token": None}, {"Authorization": None}, 403),
        ({}, {"Content_Type": "text/plain"}, 415),
        ({}, {"Content_Type": None}, 415),
        ({}, {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({}, {"Origin": "http://evil.example"}, 403),
        ({}, {"Origin": "http://[::1"}, 403),
        ({}, {"Origin": "http://[a]b"}, 403),
        ({}, {"Origin": "://"}, 403),
        ({}, {"Origin": "\xff\x85"}, 403),
        ({}, {"Sec_Fetch_Site": "cross-site"}, 403),
        ({}, {"Host": "evil.example"}, 421),
        (PROXY, {"Authorization": None}, 401),
        (PROXY, {"Authorization": None, "X_Forwarded_User": "ada"}, 403),
        (PROXY, {"Authorization": None, "X_Forwarded_User": "ada", "Origin": "http://evil.example"}, 403),
        (PROXY, {"Authorization": None, "X_Forwarded_User": "ada", "Sec_Fetch_Site": "same-site"}, 403),
        (PROXY, {"Authorization": None, "X_Forwarded_User": " ", "Sec_Fetch_Site": "same-origin"}, 401),
    ],
)
async def test_command_without_the_right_is_refused_and_reaches_no_train(
    settings: dict[str, object], headers: dict[str, str | None], status: int
) -> None:
    async with console(**settings) as rig:
        rig.publish(make.state())
        for verb in ("drive", "emergency_stop"):
            answer = await rig.command(verb=verb, headers=headers)
            assert answer.status == status
            assert set(answer.json) == {"error", "remedy"}
        assert rig.train.commands == []


@pytest.mark.parametrize("own", [{"Origin": "http://127.0.0.1:{port}"}, {"Sec_Fetch_Site": "same-origin"}])
async def test_user_whom_a_proxy_has_logged_in_commands_from_the_own_page(own: dict[str, str]) -> None:
    async with console(token=None, **PROXY) as rig:
        rig.publish(make.state())
        headers = {name: value.format(port=rig.port) for name, value in own.items()}
        answer = await rig.command(headers={"Authorization": None, "X_Forwarded_User": "ada", **headers})
        assert answer.status == 200
        ((_, command),) = rig.train.commands
        assert (command.sender, command.vouched, command.token) == ("ada", True, None)
        facts = await rig.get("/api", X_Forwarded_User="ada")
        assert (facts.json["commands"], facts.json["user"]) == ("user", "ada")


async def test_user_header_from_elsewhere_than_the_proxy_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.console.access._LOOPBACK", frozenset())
    headers: dict[str, str | None] = {"Authorization": None, "X_Forwarded_User": "ada", "Sec_Fetch_Site": "same-origin"}
    for trusted, status in (((), 401), ((ip_address("127.0.0.1"),), 200)):
        async with console(trusted_proxies=trusted, **PROXY) as rig:
            rig.publish(make.state())
            assert (await rig.command(headers=headers)).status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"stop"', 400),
        (b"{}", 400),
        (b'{"verb":"jump"}', 400),
        (b'{"verb":["stop"]}', 400),
        (b'{"verb":"image","duration_s":1}', 400),
        (b" " * 5000, 413),
        (b"[" * 4000, 400),
    ],
)
async def test_body_that_is_no_command_is_refused(body: bytes, status: int) -> None:
    async with console() as rig:
        rig.publish(make.state())
        headers = {"Content_Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        answer = await rig.get("/api/trains/train-1/commands", "POST", body, **headers)
        assert answer.status == status
        assert rig.train.commands == []


async def test_train_that_nobody_knows_cannot_be_commanded() -> None:
    async with console() as rig:
        assert (await rig.command("another")).status == 404


async def test_wrong_tokens_are_limited_and_the_log_tells_who_but_no_token() -> None:
    async with console() as rig:
        rig.publish(make.state())
        with structlog.testing.capture_logs() as logs:
            for _ in range(MAX_FAILURES):
                assert (await rig.command(headers={"Authorization": "Bearer guess"})).status == 401
            late = await rig.command(headers={"Authorization": "Bearer guess"})
            assert (late.status, int(late.headers["retry-after"]) > 0) == (429, True)
        assert {log["client"] for log in logs} == {"127.0.0.1"}
        assert [log["status"] for log in logs] == [401] * MAX_FAILURES + [429]
        assert "guess" not in json.dumps(logs)
        assert TOKEN not in json.dumps(logs)


async def test_right_token_passes_from_an_address_that_has_sent_too_many_wrong_ones() -> None:
    async with console() as rig:
        rig.publish(make.state())
        for _ in range(MAX_FAILURES + 1):
            refused = await rig.command(headers={"Authorization": "Bearer guess"})
        assert refused.status == 429
        for verb in ("emergency_stop", "arm"):
            assert (await rig.command(verb=verb)).status == 200
        assert [command.verb for _, command in rig.train.commands] == ["emergency_stop", "arm"]


async def test_flood_is_held_back_and_a_stop_is_not() -> None:
    async with console() as rig:
        rig.publish(make.state())
        answers = await asyncio.gather(*(rig.command(verb="drive") for _ in range(MAX_COMMANDS_PER_S * 2)))
        statuses = [answer.status for answer in answers]
        assert 200 in statuses
        assert len([command for _, command in rig.train.commands if command.verb == "drive"]) == statuses.count(200)
        if 429 in statuses:  # a slow machine is no flood
            assert (await rig.command(verb="emergency_stop")).status == 200


async def test_every_command_is_logged_with_who() -> None:
    async with console(token=None, **PROXY) as rig:
        rig.publish(make.state())
        with structlog.testing.capture_logs() as logs:
            await _as_ada(rig)
        (log,) = (log for log in logs if log["event"] == "command")
        assert (log["who"], log["verb"], log["train"], log["accepted"]) == ("ada", "stop", "train-1", True)


async def _as_ada(rig: Rig) -> None:
    headers = {"Authorization": None, "X_Forwarded_User": "ada", "Sec_Fetch_Site": "same-origin"}
    assert (await rig.command(headers=headers)).status == 200


def test_limiter_counts_each_client_by_itself_and_lets_time_pass() -> None:
    now_s = 0.0
    limiter = ClientRateLimiter(2, 10.0, lambda: now_s)
    for _ in range(2):
        assert limiter.wait_s("a") == 0.0
        limiter.add("a")
    now_s = 4.0
    assert (limiter.wait_s("a"), limiter.wait_s("b")) == (6.0, 0.0)
    now_s = 10.0
    assert limiter.wait_s("a") == 0.0


async def test_token_is_read_anew_for_each_command(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n", encoding="utf-8")
    async with console(token=None, token_file=file) as rig:
        rig.publish(make.state())
        assert (await rig.command(headers={"Authorization": "Bearer first"})).status == 200
        file.write_text("second\n", encoding="utf-8")
        assert (await rig.command(headers={"Authorization": "Bearer first"})).status == 401
        assert (await rig.command(headers={"Authorization": "Bearer second"})).status == 200
        file.unlink()
        gone = await rig.command(headers={"Authorization": "Bearer second"})
        assert (gone.status, "token_file" in gone.json["error"]) == (503, True)
