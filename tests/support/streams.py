"""A server of network streams on this machine: motion JPEG, and MPEG-TS over a link that is too slow."""

import functools
import http.server
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np

PICTURES = 8
SPOILT = 3
PERIOD_S = 0.2

VIDEO_S, FPS = 3.0, 10.0
PART = 2048


@functools.cache
def _mpeg_ts() -> bytes:
    """Return a video of noise, so that each part of the file is as long as any other."""
    noise = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.ts"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), FPS, (96, 64))
        assert writer.isOpened()
        for _ in range(round(FPS * VIDEO_S)):
            writer.write(noise.integers(0, 255, (64, 96, 3), np.uint8))
        writer.release()
        return path.read_bytes()


class Stream(http.server.BaseHTTPRequestHandler):
    """Sends a few pictures and closes the connection."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path.endswith(".ts"):
            self._send_slowly(_mpeg_ts())
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for number in range(PICTURES):
            changed = "changes" in self.path and number >= PICTURES // 2
            size = (96, 128, 3) if changed else (64, 96, 3)
            content = cv2.imencode(".jpg", np.full(size, 20 * number, np.uint8))[1].tobytes()
            if "changes" in self.path and number == SPOILT:
                content = bytes(len(content))
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
            with suppress(OSError):  # the reader may leave
                self.wfile.write(head.encode() + content + b"\r\n")
            time.sleep(PERIOD_S if "steady" in self.path else 0.0)

    def _send_slowly(self, content: bytes) -> None:
        """Send a video of VIDEO_S seconds in twice that time, as a link does that is too slow."""
        self.end_headers()
        with suppress(OSError):  # the reader may leave
            for start in range(0, len(content), PART):
                self.wfile.write(content[start : start + PART])
                time.sleep(2 * VIDEO_S * PART / len(content))

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def stream_server() -> Iterator[str]:
    """Serve, below the address: `/live` a few pictures at once, `/steady` five a second, `/live.ts` the video.

    `/changes`: picture SPOILT cannot be decoded, and from the middle on they have another size.
    """
    _mpeg_ts()  # not while a reader opens it: OpenCV opens one file or stream at a time
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://user:secret@127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()
