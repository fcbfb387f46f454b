"""Remembers over a restart that the process before died, so that nothing is armed by itself then.

Knows a file in the folder that systemd keeps from one start to the next (RuntimeDirectoryPreserve=restart), and that is
gone with the machine's next start. Does nothing where there is no such folder.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.config import Settings

_NAME = "running"


class Lifeline:
    """Exists as a file while a run goes on, and after one that did not end in order.

    `broken` tells that the process before died.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        folder = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
        self._file = Path(folder) / _NAME if folder else None
        self._well = False
        self.broken = False

    def __enter__(self) -> Self:
        """Look for the file of the process before, and leave our own."""
        if self._file is not None:
            self.broken = self._file.exists()
            with contextlib.suppress(OSError):
                self._file.touch()
        return self

    def ended_well(self) -> None:
        """Tell that the run ended as it should: the next one may arm the train as the settings say."""
        self._well = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file after a run that ended well."""
        if self._file is not None and self._well:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    def cautious(self, settings: Settings) -> Settings:
        """Return the settings; those of a run after a crash wait for a person to arm the train."""
        if not self.broken:
            return settings
        return settings.model_copy(update={"guard": settings.guard.model_copy(update={"arm": "never"})})
