"""The program `edge-agent`: its commands, and how a failure becomes one line and an exit code."""

import errno
import importlib
import os
import sys
from collections.abc import Iterable
from types import MappingProxyType
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.errors import EdgeAgentError

COMMANDS = MappingProxyType(
    {
        "run": "edge-agent run --dry-run --seed 7 --report run.json",
        "console": "edge-agent console --bootstrap-servers broker:9092",
        "record": "edge-agent record run.mp4 --seed 7",
        "detect": "edge-agent detect --json photo.jpg videos/",
        "doctor": "edge-agent doctor --source 0",
        "train": "edge-agent train --data data/synth --out runs/first",
        "evaluate": "edge-agent evaluate --images photos --annotations coco.json",
        "bench": "edge-agent bench --quick --only 1,2",
        "config": "",
        "dataset": "",
        "engine": "",
        "hub": "",
        "mirror": "",
    }
)
"""Each command with an example, or nothing where it has subcommands: cli/x.py then holds `app` instead of `x`."""


def build(names: Iterable[str]) -> typer.Typer:
    """Return the program with the commands in `names`."""
    app = typer.Typer(
        name="edge-agent",
        help="Lets a Lego train read road signs and drive itself.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    for name in names:
        module = importlib.import_module(f"edge_agent.cli.{name}")
        if COMMANDS[name]:
            app.command(epilog=f"Example: {COMMANDS[name]}")(getattr(module, name))
        else:
            app.add_typer(module.app, name=name)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-agent {__version__}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Lets a Lego train read road signs and drive itself."""


def main() -> None:
    """Run the program; an EdgeAgentError becomes a line on stderr for each problem, and an exit code."""
    # Only the named command's file is loaded, for a quick start; all of them where none is named, as for --help.
    named = [word for word in sys.argv[1:2] if word in COMMANDS]
    try:
        build(named or COMMANDS)()
    except EdgeAgentError as error:
        _fail(str(error))
        if error.data.get("hangs"):
            # A library still runs in a thread, and aborts the process where the interpreter ends regularly.
            sys.stdout.flush()
            os._exit(error.exit_code)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the program that reads our output has ended: no error can reach it
        sys.exit(1)
    except Exception as error:
        line = _exhausted(error)
        if line is None:
            raise
        _fail(line)
        sys.exit(1)


def _exhausted(error: BaseException) -> str | None:
    """Return a line for an error that means that the machine has run out of something, None for any other."""
    if isinstance(error, BaseExceptionGroup):
        return next((line for inner in error.exceptions if (line := _exhausted(inner)) is not None), None)
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC:
        return "cannot write the output: the disk is full; free some space"
    # Threads and libraries that cannot be mapped have no exception of their own.
    said = str(error) if isinstance(error, RuntimeError | ImportError) else ""
    if isinstance(error, MemoryError) or number == errno.ENOMEM or "new thread" in said or "failed to map" in said:
        return (
            "the process gets no more memory or threads; free some, or raise its limits (MemoryMax, TasksMax, ulimit)"
        )
    return None


def _fail(lines: str) -> None:
    """Log to stderr or the journal, and report to the service manager where there is one."""
    from edge_agent.runtime import log

    for line in lines.splitlines():
        log.failure(line)
    if os.environ.get("NOTIFY_SOCKET"):
        from edge_agent.agent.systemd import Notifier

        Notifier().status(" | ".join(lines.splitlines()))
