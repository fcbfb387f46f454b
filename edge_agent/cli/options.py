"""Options that several commands share, and how they change the settings."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.errors import UsageError

if TYPE_CHECKING:
    from edge_agent.config import Settings, SignRules

ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration file.")]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="A profile to apply over that file, or several: booth,jetson."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist already.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source", metavar="SOURCE", help="sim, 0, /dev/video0, rtsp://..., a video file or a folder of images."
    ),
]
HubOption = Annotated[str | None, typer.Option("--hub", metavar="KIND", help="mock or ble.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Seed of the simulated track, textures, light and noise.")
]
LayoutOption = Annotated[
    Path | None, typer.Option("--layout", metavar="FILE", help="A YAML file with the simulated track and its signs.")
]
ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="FILE", help="Another ONNX detector of the YOLO family.")
]
ThresholdOption = Annotated[
    float | None, typer.Option("--threshold", help="Show detections from this score on; a sign's min_score decides.")
]
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


def detector_at_working_point(settings: "Settings", rules: "SignRules") -> "Settings":
    """Return the settings with the detector's threshold that fits the sign rules; raises ConfigError."""
    from edge_agent.config import at_working_point
    from edge_agent.perception.detector import suggested_threshold

    detector = at_working_point(settings.detector, rules, suggested_threshold(settings.detector))
    return settings.model_copy(update={"detector": detector})


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """Return the host and the port of `HOST:PORT`; raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise UsageError(f"'{text}' is not HOST:PORT", remedy=f"write {option} 127.0.0.1:8080, or [::1]:8080")
    return host, int(port)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise UsageError where a file that a command would write exists already, unless it may be replaced."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists already", remedy="name another one, or add --force to replace it")


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
    """Return settings with a token for this run.

    Only where no token is set, stderr is a terminal, and the page listens on the loopback interface.
    """
    console = settings.console
    if not console.is_read_only or not console.enabled or not console.is_local or not sys.stderr.isatty():
        return settings
    from pydantic import SecretStr

    token = SecretStr(secrets.token_urlsafe(16))
    return settings.model_copy(update={"console": console.model_copy(update={"token": token})})


def announce_console(settings: "Settings", *, run_token: bool) -> None:
    """Print where the page is and who may send commands from it; without a terminal log it.

    With `run_token` the link carries the token, as Jupyter's does: in its fragment, which browsers do not send. It is
    printed to the terminal only, never logged.
    """
    import structlog

    from edge_agent.console.server import READ_ONLY, READ_ONLY_REMEDY, page_address

    console, address = settings.console, page_address(settings.console)
    if not sys.stderr.isatty():
        log = structlog.get_logger(__name__)
        if console.is_read_only:
            # A mocked hub moves no train that somebody would have to arm or stop.
            log = log.warning if settings.hub.kind == "ble" else log.info
            log("console_read_only", address=address, reason=READ_ONLY, remedy=READ_ONLY_REMEDY)
        else:
            log.info("console", address=address)
    elif run_token and console.token is not None:
        token = console.token.get_secret_value()
        sys.stderr.write(f"Console, with the right to send commands: {address}#token={token}\n")
    elif console.is_read_only:
        sys.stderr.write(f"Console: {address}\n  {READ_ONLY};\n  {READ_ONLY_REMEDY}\n")
    else:
        sys.stderr.write(f"Console: {address}\n")
