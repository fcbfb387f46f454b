"""Options that several commands share, and what they make of the settings.

Knows how a command line overrides settings. Knows nothing of what a command does.
"""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.errors import UsageError

ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration file.")]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="A profile beside it, laid over it.")
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source", metavar="SOURCE", help="sim, 0, /dev/video0, rtsp://..., a video file or a folder of images."
    ),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="The simulated world: track, textures, light, noise.")]
LayoutOption = Annotated[
    Path | None, typer.Option("--layout", metavar="FILE", help="A track with signs as YAML for the simulated world.")
]
ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="FILE", help="Another ONNX detector of the YOLO family.")
]
ThresholdOption = Annotated[float | None, typer.Option("--threshold", help="Least score of a detection, 0..1.")]
DurationOption = Annotated[
    float | None, typer.Option("--duration", min=0.1, metavar="S", help="End after so many seconds.")
]
CollectOption = Annotated[
    Path | None, typer.Option("--collect", metavar="DIR", help="Keep the frames that the detector found hard.")
]
CollectMbOption = Annotated[
    int, typer.Option("--collect-mb", min=1, metavar="N", help="The most megabytes that DIR may hold.")
]
RealtimeOption = Annotated[
    bool | None,
    typer.Option(
        "--realtime/--no-realtime",
        help="Pace the source at its frame rate, or run it on a virtual clock as fast as the machine can.",
    ),
]


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """Return the host and the port of `HOST:PORT`; raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise UsageError(f"'{text}' is no HOST:PORT", remedy=f"write {option} 127.0.0.1:8080, or [::1]:8080")
    return host, int(port)


def check_writable(path: Path | None, what: str) -> None:
    """Raise UsageError now where `path` could not be written later."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"cannot write the {what} to '{path}': it is a folder", remedy="name a file in it")
    probe = path.with_name(f".{path.name}.probe")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write the {what} to '{path}': {error.strerror}",
            remedy="name a file in a folder that you may write",
        ) from None
