"""A real network stream through OpenCV and FFmpeg: motion JPEG from a server on this machine."""

import asyncio
import http.server
import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge_agent.errors import RetryableError
from edge_agent.perception.camera import LiveCamera, LiveTimeouts, open_camera
from tests.perception.camera.pictures import grey

PICTURES = 8


class Stream(http.server.BaseHTTPRequestHandler):
    """Sends a few pictures and closes the connection."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for number in range(PICTURES):
            content = cv2.imencode(".jpg", grey(20 * number))[1].tobytes()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
            self.wfile.write(head.encode() + content + b"\r\n")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://user:secret@127.0.0.1:{server.server_port}/live?token=abc"
        server.shutdown()
        serving.join()


async def test_stream_is_read_to_its_end_and_opened_again(address: str) -> None:
    timeouts = LiveTimeouts(retry_initial_s=0.01, retry_max_s=0.01)
    camera = open_camera(address, fps=5, width_hint=96, height_hint=64, timeouts=timeouts)
    assert isinstance(camera, LiveCamera)
    serials: list[int] = []
    complaints: list[str] = []
    async with asyncio.timeout(30), camera:
        while camera.reopened == 0:
            try:
                shot = await camera.grab()
            except RetryableError as error:
                complaints.append(str(error))
                await asyncio.sleep(0)
            else:
                assert shot is not None
                assert shot.image.shape == (64, 96, 3)
                assert np.ptp(shot.image) < 10
                serials.append(shot.serial)
    assert serials == sorted(serials)
    assert serials[-1] > PICTURES - 2
    assert complaints
    assert not any("secret" in text or "token" in text for text in (camera.source, *complaints))
