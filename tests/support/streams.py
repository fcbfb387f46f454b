"""A server of network streams on this machine: motion JPEG, and MPEG-TS over a link that is too slow."""

import functools
import http.server
import socketserver
import struct
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


class Rtsp(socketserver.StreamRequestHandler):
    """Plays ten pictures a second over RTSP (RFC 2326), as JPEG over RTP (RFC 2435), and sends only five a second."""

    def handle(self) -> None:
        with suppress(OSError):  # the reader may leave
            while (request := self._request()) and request[0] != "PLAY":
                pass
            if request:
                self._play()

    def _request(self) -> tuple[str, dict[str, str]] | None:
        """Read and answer a request; return its method and its headers."""
        method = self.rfile.readline().decode().partition(" ")[0]
        headers = dict(line.decode().strip().split(": ", 1) for line in iter(self.rfile.readline, b"\r\n") if line)
        if not method:
            return None
        answer, body = {"CSeq": headers["CSeq"], "Session": "1"}, b""
        if method == "OPTIONS":
            answer["Public"] = "DESCRIBE, SETUP, PLAY"
        if method == "DESCRIBE":
            body = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track\r\n"
            answer |= {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
        if method == "SETUP":
            answer["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
        lines = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
        self.wfile.write(f"RTSP/1.0 200 OK\r\n{lines}\r\n".encode() + body)
        return method, headers

    def _play(self) -> None:
        for number in range(40):
            packet = struct.pack("!BBHII", 0x80, 0x80 | 26, number, number * 9000, 1) + _rtp_jpeg(5 * number)
            self.wfile.write(b"$\0" + len(packet).to_bytes(2, "big") + packet)
            time.sleep(PERIOD_S)


def _rtp_jpeg(value: int) -> bytes:
    """Return the RTP payload of a picture of 96x64 pixels: header, quantisation tables and the scan."""
    picture = np.full((64, 96, 3), value, np.uint8)
    content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420])[
        1
    ].tobytes()
    tables, scan, at = b"", b"", 2
    while not scan:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        segment = content[at + 4 : at + 2 + length]
        if marker == 0xDB:
            tables += b"".join(segment[n + 1 : n + 65] for n in range(0, len(segment), 65))
        if marker == 0xDA:
            scan = content[at + 2 + length : -2]
        at += 2 + length
    return bytes((0, 0, 0, 0, 1, 255, 96 // 8, 64 // 8, 0, 0)) + len(tables).to_bytes(2, "big") + tables + scan


@contextmanager
def rtsp_server() -> Iterator[str]:
    """Serve a stream with time stamps over a link that is too slow; yield its address."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rtsp) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"rtsp://127.0.0.1:{server.server_address[1]}/live"
        server.shutdown()
        serving.join()
