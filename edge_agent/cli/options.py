"""Options that several commands share, and how they change the settings."""

import ipaddress
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.errors import UsageError

if TYPE_CHECKING:
    from edge_agent.config import Settings

ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration file.")]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="A profile to apply over that file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source", metavar="SOURCE", help="sim, 0, /dev/video0, rtsp://..., a video file or a folder of images."
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Seed of the simulated track, textures, light and noise.")
]
LayoutOption = Annotated[
    Path | None, typer.Option("--layout", metavar="FILE", help="A YAML file with the simulated track and its signs.")
]
ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="FILE", help="Another ONNX detector of the YOLO family.")
]
ThresholdOption = Annotated[float | None, typer.Option("--threshold", help="Minimum score of a detection, 0 to 1.")]
DurationOption = Annotated[
    float | None, typer.Option("--duration", min=0.1, metavar="S", help="Stop after this many seconds.")
]
CollectOption = Annotated[
    Path | None, typer.Option("--collect", metavar="DIR", help="Save the frames that the detector found hard to DIR.")
]
CollectMbOption = Annotated[
    int, typer.Option("--collect-mb", min=1, metavar="N", help="Most megabytes that DIR may hold.")
]
RealtimeOption = Annotated[
    bool | None,
    typer.Option(
        "--realtime/--no-realtime",
        help="Play the source at its frame rate, or on a virtual clock as fast as the machine can.",
    ),
]


def absolute(path: Path | None) -> str | None:
    """Return `path` as an override of a setting: relative to the working directory, not to the configuration file."""
    return str(path.absolute()) if path else None


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """Return the host and the port of `HOST:PORT`; raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise UsageError(f"'{text}' is not HOST:PORT", remedy=f"write {option} 127.0.0.1:8080, or [::1]:8080")
    return host, int(port)


def check_writable(path: Path | None, what: str) -> None:
    """Raise UsageError where `path` cannot be written, before the work that ends in writing it."""
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
            remedy="name a file in a folder that you may write to",
        ) from None


def with_run_token(settings: "Settings") -> "Settings":
    """Return settings with a token for this run, and print the link that carries it, as Jupyter does.

    Only where no token is set, stderr is a terminal, and the page listens on the loopback interface. The token is in
    the link's fragment, which browsers do not send, and is printed to the terminal only, never logged.
    """
    console = settings.console
    if console.token is not None or console.token_file is not None or console.user_header is not None:
        return settings
    if not console.enabled or not sys.stderr.isatty() or not _is_loopback(console.host):
        return settings
    from pydantic import SecretStr

    token = secrets.token_urlsafe(16)
    host = f"[{console.host}]" if ":" in console.host else console.host
    sys.stderr.write(f"Console, with the right to send commands: http://{host}:{console.port}/#token={token}\n")
    return settings.model_copy(update={"console": console.model_copy(update={"token": SecretStr(token)})})


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
