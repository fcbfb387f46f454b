"""Pictures that lie on disk, behind the Camera port: the next one at each call, read ahead on a thread of their own.

Knows when to read. Knows nothing of file formats: a PictureReader (video.py, images.py) does the reading.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import EdgeAgentError
from edge_agent.events import Detection
from edge_agent.ports import Shot


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPicture:
    """One picture of a file or folder: (height, width, 3) uint8 BGR, its number from 0, its name, what is in it."""

    image: NDArray[np.uint8] = field(repr=False)
    number: int
    name: str
    truth: tuple[Detection, ...] | None = None


class PictureReader(Protocol):
    """Reads pictures one after the other; blocking, for one thread at a time."""

    @property
    def notes(self) -> list[str]:
        """What was wrong with the source but did not end it, a line each; complete after `read` has returned None."""

    @property
    def damaged(self) -> bool:
        """Whether pictures are missing that should have been there; known like `notes`."""

    def open(self) -> None:
        """Open the source; raises ConfigError with a remedy when it holds no pictures."""

    def read(self) -> RecordedPicture | None:
        """Return the next picture (or the last one again, with its number), or None at the end."""

    def close(self) -> None:
        """Close the source."""


class RecordedCamera:
    """Implements ports.Camera on a PictureReader.

    `taken_s` is the loop's time at the call, also on a virtual clock. The next picture is read while the caller works
    on this one. `notes` are the reader's: lines for the report.
    """

    live = False

    def __init__(self, source: str, reader: PictureReader) -> None:
        self.source = source
        self._reader = reader
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="camera")
        self._next: asyncio.Future[RecordedPicture | None] | None = None
        self._serial = 0
        self._number = -1

    @property
    def notes(self) -> tuple[str, ...]:
        """What was wrong with the source but did not end it, a line each."""
        return tuple(self._reader.notes)

    @property
    def damaged(self) -> bool:
        """Whether pictures are missing that should have been there."""
        return self._reader.damaged

    async def __aenter__(self) -> Self:
        """Open the source and read its first picture; raises ConfigError when there is none."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.open)
            self._read_ahead()
        except EdgeAgentError:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source; a picture that is being read is given up."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._thread.submit(self._reader.close)
        self._thread.shutdown(wait=False)

    async def grab(self) -> Shot | None:
        """Return the next picture, or None at the end and ever after."""
        if self._next is None:
            return None
        # A caller that gives up waiting must not lose the picture: it gets it the next time.
        picture = await asyncio.shield(self._next)
        if picture is None:
            return None
        self._read_ahead()
        if picture.number != self._number:
            self._number = picture.number
            self._serial += 1
        now_s = asyncio.get_running_loop().time()
        return Shot(picture.image, taken_s=now_s, serial=self._serial, truth=picture.truth)

    def _read_ahead(self) -> None:
        self._next = asyncio.get_running_loop().run_in_executor(self._thread, self._reader.read)
