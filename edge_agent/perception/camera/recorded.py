"""Recorded pictures behind the Camera port: one per call, read ahead in a thread by a PictureReader."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import EdgeAgentError
from edge_agent.events import Detection
from edge_agent.ports import Shot


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPicture:
    """A picture of a file or folder, (height, width, 3) uint8 BGR; numbered from 0, `truth` where it was recorded.

    `time_s` is the time since the first picture of a video; 0 in a folder. `upright`: see Shot.
    """

    image: NDArray[np.uint8] = field(repr=False)
    number: int
    name: str
    truth: tuple[Detection, ...] | None = None
    time_s: float = 0.0
    upright: bool = False


class PictureReader(Protocol):
    """Reads pictures one after the other; blocks, and is used by one thread at a time."""

    @property
    def notes(self) -> list[str]:
        """Warnings about the source, one line each; complete after `read` has returned None."""

    @property
    def damaged(self) -> bool:
        """Whether pictures are missing; complete when `notes` is."""

    def open(self) -> None:
        """Open the source; raises ConfigError with a remedy when it has no pictures."""

    def read(self) -> RecordedPicture | None:
        """Return the next picture (or the last one again, with the same number), or None at the end."""

    def close(self) -> None:
        """Close the source."""


class RecordedCamera:
    """Implements ports.Camera on a PictureReader.

    `taken_s` is the loop's time at the call, also on a virtual clock. The next picture is read while the caller
    processes this one. `any_size` says whether the pictures may differ in size.
    """

    live = False

    def __init__(self, source: str, reader: PictureReader, *, any_size: bool = False) -> None:
        self.source = source
        self._any_size = any_size
        self._reader = reader
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="camera")
        self._next: asyncio.Future[RecordedPicture | None] | None = None
        self._serial = 0
        self._number = -1

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about the source, one line each."""
        return tuple(self._reader.notes)

    @property
    def damaged(self) -> bool:
        """Whether pictures are missing."""
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

    async def __aexit__(self, *_: object) -> None:
        """Close the source; a picture that is being read is discarded."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._thread.submit(self._reader.close)
        self._thread.shutdown(wait=False)

    async def grab(self) -> Shot | None:
        """Return the next picture; None at the end, and from then on."""
        if self._next is None:
            return None
        # A caller whose wait is cancelled must not lose the picture: its next call returns it.
        picture = await asyncio.shield(self._next)
        if picture is None:
            return None
        self._read_ahead()
        if picture.number != self._number:
            self._number = picture.number
            self._serial += 1
        now_s = asyncio.get_running_loop().time()
        return Shot(
            picture.image,
            taken_s=now_s,
            serial=self._serial,
            truth=picture.truth,
            any_size=self._any_size,
            upright=picture.upright,
        )

    def _read_ahead(self) -> None:
        self._next = asyncio.get_running_loop().run_in_executor(self._thread, self._reader.read)
