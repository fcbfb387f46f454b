"""The REST API: responses, refusals and headers."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from edge_agent.console.api import read_routes
from edge_agent.console.openapi import document
from tests.console.rig import console
from tests.support import events as make

TRAIN = "/api/trains/train-1"


def conforms(value: Any, view: str) -> None:
    """Validate a value against the OpenAPI document."""
    schemas = document()["components"]
    Draft202012Validator({"$ref": f"#/components/schemas/{view}", "components": schemas}).validate(value)


async def test_trains_timeline_frames_and_pictures_are_as_the_document_says() -> None:
    async with console() as rig:
        events = make.one_of_each()
        rig.publish(*events)
        views = {"/api": "Facts", "/api/trains": "Trains", TRAIN: "Train"}
        views |= {f"{TRAIN}/timeline": "Items", f"{TRAIN}/frames": "Frames"}
        frame_id = events[0].frame_id  # type: ignore[union-attr]
        views[f"{TRAIN}/frames/{frame_id}"] = "FrameView"
        found = {}
        for path, view in views.items():
            answer = await rig.get(path)
            assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), path
            conforms(answer.json, view)
            found[view] = answer.json
        assert found["Facts"]["role"] == "train"
        assert [item["kind"] for item in found["FrameView"]["chain"]] == ["sign", "decision", "command"]
        assert found["Frames"]["frames"] == [{"frame_id": frame_id, "at_ms": found["FrameView"]["at_ms"]}]
        for path in (f"{TRAIN}/frames/{frame_id}.jpg", f"{TRAIN}/snapshot.jpg"):
            picture = await rig.get(path)
            assert (picture.headers["content-type"], picture.body[:3]) == ("image/jpeg", b"\xff\xd8\xff")


async def test_timeline_can_be_requested_in_parts() -> None:
    async with console() as rig:
        rig.publish(*make.one_of_each())
        items = (await rig.get(f"{TRAIN}/timeline")).json["items"]
        at_ms = items[1]["at_ms"]
        assert (await rig.get(f"{TRAIN}/timeline?limit=2")).json["items"] == items[-2:]
        since = (await rig.get(f"{TRAIN}/timeline?since_ms={at_ms}")).json["items"]
        before = (await rig.get(f"{TRAIN}/timeline?before_ms={at_ms}")).json["items"]
        assert {item["id"] for item in since}.isdisjoint(item["id"] for item in before)
        assert len(since) + len(before) == len(items)


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/api/trains/another", "GET", {}, 404),
        (f"{TRAIN}/frames/another", "GET", {}, 404),
        (f"{TRAIN}/frames/another.jpg", "GET", {}, 404),
        (f"{TRAIN}/snapshot.jpg", "GET", {}, 404),
        ("/api/trains/another/stream.mjpeg", "GET", {}, 404),
        (f"{TRAIN}/timeline?limit=x", "GET", {}, 400),
        (f"{TRAIN}/timeline?since_ms=-1", "GET", {}, 400),
        (f"{TRAIN}/frames?since_ms=99999999999999999999", "GET", {}, 400),
        ("/nowhere", "GET", {}, 404),
        ("/page/..%2fserver.py", "GET", {}, 404),
        ("/page/nothing.js", "GET", {}, 404),
        ("/api/trains", "POST", {}, 405),
        ("/api/trains", "GET", {"Origin": "http://evil.example"}, 403),
        ("/api/trains", "GET", {"Sec_Fetch_Site": "cross-site"}, 403),
        (f"{TRAIN}/snapshot.jpg", "GET", {"Sec_Fetch_Site": "same-site"}, 403),
        ("/api/trains", "GET", {"Host": "evil.example"}, 421),
        ("/api", "GET", {"Host": ""}, 421),
    ],
)
async def test_refused_request_has_an_error_and_a_remedy(
    path: str, method: str, headers: dict[str, str], status: int
) -> None:
    async with console() as rig:
        rig.publish(make.state())
        answer = await rig.get(path, method, **headers)
        assert answer.status == status
        conforms(answer.json, "Problem")
        assert answer.json["remedy"]


async def test_every_response_has_the_security_headers() -> None:
    async with console() as rig:
        for path in ("/", "/api", "/nowhere", "/api/openapi.json"):
            headers = (await rig.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers
            assert "access-control-allow-origin" not in headers


async def test_page_is_served_with_etags_and_not_sent_again_unchanged() -> None:
    async with console() as rig:
        page = await rig.get("/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"<script>" not in page.body
        script = await rig.get("/page/main.js")
        assert script.headers["content-type"].partition(";")[0] in ("text/javascript", "application/javascript")
        for path, answer in (("/", page), ("/page/main.js", script)):
            assert answer.headers["cache-control"] == "no-cache"
            again = await rig.get(path, If_None_Match=answer.headers["etag"])
            assert (again.status, again.body, again.headers["cache-control"]) == (304, b"", "no-cache")


async def test_console_answers_to_its_own_and_to_configured_names() -> None:
    async with console(allowed_origins=("https://console.example",)) as rig:
        for name in ("localhost", "127.0.0.1:9", "[::1]:8080", "console.example", "CONSOLE.example:443"):
            assert (await rig.get("/api", Host=name)).status == 200, name


async def test_document_is_valid_and_names_every_path_that_is_served() -> None:
    async with console() as rig:
        served = (await rig.get("/api/openapi.json")).json
        assert served == json.loads(json.dumps(document()))
        OpenAPIV31SpecValidator(served).validate()
        paths = {route.path for route in read_routes(rig.app) if isinstance(route, Route)}
        others = {f"/api/trains/{{train_id}}/{name}" for name in ("commands", "stream.mjpeg")}
        assert set(served["paths"]) == paths | others | {"/api/commands"}
