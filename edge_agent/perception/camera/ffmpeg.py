"""FFmpeg, through PyAV, for files and network streams: each picture in its own size, with its own time stamp.

Everything here blocks, and prints nothing.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
from av import Packet, VideoFrame, VideoStream

from edge_agent.perception.camera.opencv import to_bgr

STREAM_OPEN_TIMEOUT_S = 8.0
STREAM_READ_TIMEOUT_S = 2.0

# What an MP4 or QuickTime file may begin with, and Matroska's header, its segment, cluster and block group, and
# its two kinds of blocks.
_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_ENTERED = frozenset({_SEGMENT, b"\x1f\x43\xb6\x75", b"\xa0"})
_BLOCKS = frozenset({b"\xa1", b"\xa3"})

_CUT = "its last bytes are missing"
_DAMAGED = "its container is damaged"


class VideoDecoder:
    """The pictures of a container's best video stream, in the order in which they are shown.

    `frames` yields them, and None for each that cannot be decoded. When it has ended, `problem` says why it ended too
    early; "" when it did not. `packets` counts what was to be decoded, which is one for each picture but in VP8.
    Raises OSError when the container cannot be opened, or has no video stream.
    """

    def __init__(self, source: str, options: dict[str, str], timeout_s: tuple[float, float] | None = None) -> None:
        try:
            self._container = av.open(source, options=options, timeout=timeout_s)
        except (av.FFmpegError, ValueError) as error:
            raise OSError(_reason(error)) from None
        video = self._container.streams.best("video")
        if not isinstance(video, VideoStream):
            self._container.close()
            raise OSError("it has no pictures")
        # With n threads FFmpeg delays each picture by n pictures; at these sizes more cost more than they gain.
        video.codec_context.thread_count = 1
        self._video = video
        self.codec = video.codec_context.name
        self._incomplete = False
        self.problem = ""
        self.packets = 0
        self.frames = self._decode()

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _decode(self) -> Iterator[VideoFrame | None]:
        try:
            for packet in self._container.demux(self._video):
                yield from self._frames_of(packet)
        except (av.FFmpegError, OSError) as error:
            self.problem = _reason(error)
        else:
            self.problem = _CUT if self._incomplete else ""

    def _frames_of(self, packet: "Packet[VideoStream]") -> list[VideoFrame | None]:
        if packet.dts is not None:
            self._incomplete = packet.is_corrupt
            self.packets += packet.size > 0 and not packet.is_discard
            if packet.size == 0:
                return []  # "show the last picture again", which the decoder would take for the end
        try:
            return [None if packet.is_corrupt or frame.is_corrupt else frame for frame in packet.decode()]
        except av.FFmpegError:
            return [None]


class FileDecoder(VideoDecoder):
    """The pictures of a video file; see VideoDecoder."""

    def __init__(self, path: Path) -> None:
        # An absolute path is never taken for a URL, and a playlist must not open one.
        super().__init__(str(path.absolute()), {"protocol_whitelist": "file"})
        self._path = path

    def _decode(self) -> Iterator[VideoFrame | None]:
        yield from super()._decode()
        self.problem = self.problem or container_problem(self._path)


class StreamCapture:
    """A network stream with opencv.VideoCapture's interface."""

    def __init__(self, url: str) -> None:
        self._decoder: VideoDecoder | None = None
        self._frame: VideoFrame | None = None
        # TCP first, since UDP loses packets.
        options = {"rtsp_flags": "prefer_tcp"} if url.lower().startswith("rtsp") else {}
        with suppress(OSError):
            self._decoder = VideoDecoder(url, options, (STREAM_OPEN_TIMEOUT_S, STREAM_READ_TIMEOUT_S))

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Return whether pictures can be read."""
        return self._decoder is not None

    def grab(self) -> bool:
        """Block until the next picture; False at the end, on an error and after the timeout."""
        if self._decoder is None:
            return False
        for frame in self._decoder.frames:
            self._frame = frame
            return True
        return False

    def retrieve(self) -> tuple[bool, Any]:
        """Return the picture that was grabbed; (False, None) when it cannot be decoded."""
        return (False, None) if self._frame is None else (True, to_bgr(self._frame))

    def get(self, propId: int, /) -> float:  # noqa: N803 - OpenCV's name
        """Return the time stamp for CAP_PROP_POS_MSEC, MJPG for CAP_PROP_FOURCC where it is that; else 0."""
        if propId == cv2.CAP_PROP_FOURCC and self._decoder is not None:
            return float(cv2.VideoWriter.fourcc(*"MJPG")) if self._decoder.codec == "mjpeg" else 0.0
        if propId == cv2.CAP_PROP_POS_MSEC and self._frame is not None:
            return 1000 * (self._frame.time or 0.0)
        return 0.0

    def release(self) -> None:
        """Close the stream."""
        if self._decoder is not None:
            self._decoder.close()


def container_problem(path: Path) -> str:
    """Return what MP4, Matroska or AVI headers say is wrong: the file ends too early, or has a hole; "" if nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head.startswith(_EBML):
            return _matroska_problem(file, size)
        if head[4:] in _FIRST_BOXES:
            end = _boxes_end(file, size)
        else:
            end = _chunks_end(file, size) if head.startswith(b"RIFF") else 0
    return _CUT if end > size else ""


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Return where the last top-level box ends (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        # 0 means up to the end of the file, and padding has no name.
        if length < 8 or not head[4:8].isalnum():
            break
        at += length
    return at


def _chunks_end(file: BinaryIO, size: int) -> int:
    """Return where the last RIFF chunk ends; a file above 1 GB has several (OpenDML AVI 1.02)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        if not head.startswith(b"RIFF"):
            break
        at += int.from_bytes(head[4:], "little") + 8
    return at - 8  # some writers count the chunk's own header


def _matroska_problem(file: BinaryIO, size: int) -> str:
    """Follow the elements' lengths (RFC 8794, RFC 9559) from one block to the next, as FFmpeg skips what is not one."""
    at, end = 0, size
    while at < end:
        file.seek(at)
        head = file.read(16)
        id_width = 9 - head[0].bit_length()
        if id_width > 4:
            return _DAMAGED
        width = 9 - head[id_width].bit_length() if id_width < len(head) else 9
        if width > 8:
            return _DAMAGED if id_width < len(head) else _CUT
        bits = 7 * width
        length = int.from_bytes(head[id_width : id_width + width], "big") & ((1 << bits) - 1)
        identity, content = head[:id_width], head[id_width + width :]
        if identity in _BLOCKS and content.startswith(b"\0"):
            return _DAMAGED  # no track has this number
        at += id_width + width
        # Segments and clusters are entered: a live recording's have no known length, written as all ones.
        if identity not in _ENTERED:
            at += length
        elif length != (1 << bits) - 1:
            if at + length > size:
                return _CUT
            end = at + length if identity == _SEGMENT else end  # padding may follow
    return _CUT if at > size else ""


def _reason(error: Exception) -> str:
    """Return FFmpeg's own words; str(error) has an errno, the address and perhaps a password in it."""
    return str(getattr(error, "strerror", None) or error)
