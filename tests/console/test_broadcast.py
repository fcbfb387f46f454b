"""The WebSocket and the MJPEG stream, over real sockets."""

import asyncio
import json
import socket

import pytest

from edge_agent.console.schemas import Trouble
from edge_agent.console.websocket import CLOSE_FLOODING
from tests.console.rig import Picture, console, next_frame, next_message, receive, refused_with
from tests.support import events as make
from tests.support.http import call
from tests.support.mosquitto import until


async def test_viewer_gets_hello_frames_boxes_items_and_the_train() -> None:
    async with console() as rig:
        rig.publish(*make.one_of_each())
        async with rig.connect() as page:
            hello = await receive(page)
            assert isinstance(hello, dict)
            assert hello["t"] == "hello"
            assert [train["id"] for train in hello["trains"]] == ["train-1"]
            assert hello["api"]["commands"] == "token"
            first = await next_frame(page)  # the newest that is known, at once
            seen = make.frame(9, at_s=9.0)
            decided = make.decision(seen)
            rig.publish(seen, make.prediction(seen, make.sighting()), decided)
            frame = await next_frame(page)
            assert frame.data[:2] == b"\xff\xd8"
            assert first.header["frame_id"] != frame.header["frame_id"] == seen.frame_id
            assert (frame.header["width"], frame.header["height"], frame.header["train"]) == (600, 400, "train-1")
        async with rig.connect() as page:
            await next_frame(page)
            seen = make.frame(10, at_s=19.0)
            rig.publish(make.prediction(seen, make.sighting()), make.decision(seen))
            assert (await next_message(page, "item"))["item"]["kind"] == "sign"
            assert (await next_message(page, "item"))["item"]["kind"] == "decision"
            boxes = await next_message(page, "boxes")
            assert (boxes["frame_id"], boxes["detections"][0]["label"]) == (seen.frame_id, "stop")
            assert (await next_message(page, "train"))["train"]["last_sign"] == "stop"


async def test_viewer_that_acknowledges_nothing_gets_two_frames_and_later_the_newest() -> None:
    async with console() as rig, rig.connect() as page:
        for number in range(20):
            rig.publish(make.frame(number, at_s=number / 10))
            await asyncio.sleep(0.01)
        first, second = await next_frame(page), await next_frame(page)
        assert second.header["sequence"] == first.header["sequence"]  # the rig numbers each batch from 0
        await page.send(json.dumps({"t": "shown", "train": "train-1", "frame_id": second.header["frame_id"]}))
        last = await next_frame(page)
        assert last.header["skipped"] == 17
        assert last.header["frame_id"] == rig.app.store.newest("train-1").frame_id  # type: ignore[union-attr]


async def test_overview_has_every_train_twice_a_second_at_most() -> None:
    async with console() as rig:
        rig.publish(make.state())
        async with rig.connect("overview=1") as page:
            await next_message(page, "hello")
            for number in range(5):
                for train in ("red", "blue"):
                    rig.publish(make.frame(number), train_id=train)
            frames = [await next_frame(page) for _ in range(2)]
            assert {frame.header["train"] for frame in frames} == {"red", "blue"}
            await page.send(json.dumps({"t": "clock", "n": 7}))
            while True:
                message = await receive(page)
                assert not isinstance(message, Picture)
                if message["t"] == "clock":
                    break
            assert (message["n"], message["now_ms"] > 0) == (7, True)


async def test_viewer_can_switch_to_another_train() -> None:
    async with console() as rig:
        rig.publish(make.frame(1), train_id="red")
        rig.publish(make.frame(2), train_id="blue")
        async with rig.connect("train=red") as page:
            assert (await next_frame(page)).header["train"] == "red"
            await page.send(json.dumps({"t": "watch", "train": "blue"}))
            assert (await next_frame(page)).header["train"] == "blue"
            await page.send(json.dumps({"t": "watch", "train": None}))
            assert {(await next_frame(page)).header["train"] for _ in range(2)} == {"red", "blue"}


@pytest.mark.parametrize(
    ("origin", "settings", "status"),
    [
        ("http://evil.example", {}, 403),
        ("null", {}, 403),
        ("https://shop.example", {"allowed_origins": ("https://shop.example",)}, 101),
        ("https://shop.example:444", {"allowed_origins": ("https://shop.example",)}, 403),
        ("http://127.0.0.1:{port}", {}, 101),
        ("http://127.0.0.1:1", {}, 403),
        (None, {}, 101),
    ],
)
async def test_foreign_origin_is_refused_before_the_upgrade(
    origin: str | None, settings: dict[str, object], status: int
) -> None:
    async with console(**settings) as rig:
        shown = origin.format(port=rig.port) if origin else None
        assert await refused_with(rig.connect(origin=shown)) == status


async def test_foreign_host_name_is_refused() -> None:
    async with console() as rig:
        upgrade = {
            "Host": f"evil.example:{rig.port}",
            "Origin": f"http://evil.example:{rig.port}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        answer = await call(rig.port, "/api/live?overview=1", **upgrade)
        assert (answer.status, answer.json["remedy"][:15]) == (421, "use its address")


async def test_viewer_beyond_the_limit_is_refused_until_another_leaves() -> None:
    async with console(max_viewers=1) as rig:
        async with rig.connect() as page:
            await next_message(page, "hello")
            assert await refused_with(rig.connect()) == 503
        await until(lambda: not rig.app.broadcaster.subscribers, "the viewer has left")
        assert await refused_with(rig.connect()) == 101


@pytest.mark.parametrize("text", ["{", "[]", '{"t":"' + "x" * 3000, b"\x00\x01"])
async def test_invalid_message_closes_the_connection(text: str | bytes) -> None:
    async with console() as rig, rig.connect() as page:
        await page.send(text)
        await page.wait_closed()
        assert page.close_code == CLOSE_FLOODING


@pytest.mark.parametrize("text", ['{"t":"later"}', '{"t":"shown"}', '{"t":"shown","train":1,"frame_id":[]}', "{}"])
async def test_unknown_message_is_ignored(text: str) -> None:
    async with console() as rig, rig.connect() as page:
        await page.send(text)
        await page.send('{"t":"clock","n":1}')
        assert (await next_message(page, "clock"))["n"] == 1


async def test_trouble_and_its_end_are_sent() -> None:
    async with console() as rig, rig.connect() as page:
        await next_message(page, "hello")
        rig.app.publish_trouble(Trouble("Kafka is away", "wait"))
        assert (await next_message(page, "trouble"))["trouble"] == {"error": "Kafka is away", "remedy": "wait"}
        assert (await rig.get("/api")).json["trouble"]["error"] == "Kafka is away"
        rig.app.publish_trouble(None)
        assert (await next_message(page, "trouble"))["trouble"] is None


async def test_silent_train_is_sent_as_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as rig, rig.connect() as page:
        rig.publish(make.state())
        assert (await next_message(page, "train"))["train"]["stale"] is False
        later_ms = rig.app.now_ms() + 3500
        monkeypatch.setattr(rig.app.broadcaster, "_now_ms", lambda: later_ms)
        assert (await next_message(page, "train"))["train"]["stale"] is True


async def test_stream_has_whole_pictures_and_skips_for_a_slow_reader() -> None:
    async with console() as rig:
        rig.publish(make.frame(1))
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        slow.connect(("127.0.0.1", rig.port))
        reader, writer = await asyncio.open_connection(sock=slow, limit=16 * 1024)
        writer.write(f"GET /api/trains/train-1/stream.mjpeg HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"multipart/x-mixed-replace; boundary=" in head
        assert await _picture_of(reader) == rig.app.store.newest("train-1").data  # type: ignore[union-attr]
        for number in range(2, 400):  # the reader sleeps: what fits into no buffer is skipped
            rig.publish(make.frame(number, at_s=number / 10))
            await asyncio.sleep(0)
        newest = rig.app.store.newest("train-1").data  # type: ignore[union-attr]
        count = 0
        while await _picture_of(reader) != newest:
            count += 1
        writer.close()
        assert count < 150
        await until(lambda: not rig.app.broadcaster.streams, "the reader has left")


async def _picture_of(reader: asyncio.StreamReader) -> bytes:
    """Return the next picture of a stream, skipping chunk sizes."""
    async with asyncio.timeout(20):
        while not (line := await reader.readline()).startswith(b"Content-Length"):
            assert line
        await reader.readline()
        return await reader.readexactly(int(line.split()[1]))
