"""The program `edge-agent`: its commands, and how a failure becomes one line and an exit code.

Knows which commands there are. Each command's file imports what it runs inside the command, so that `--help` is quick.
"""

import errno
import os
import sys
from typing import Annotated

import typer

from edge_agent import __version__, log
from edge_agent.cli import (
    bench,
    config,
    console,
    dataset,
    detect,
    doctor,
    engine,
    evaluate,
    hub,
    mirror,
    record,
    run,
    train,
)
from edge_agent.errors import EdgeAgentError

app = typer.Typer(
    name="edge-agent",
    help="Lets a Lego train read road signs and drive itself.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-agent {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Lets a Lego train read road signs and drive itself."""


app.command(epilog="Example: edge-agent run --dry-run --seed 7 --report run.json")(run.run)
app.command(epilog="Example: edge-agent console --bootstrap-servers broker:9092")(console.console)
app.command(epilog="Example: edge-agent record run.mp4 --seed 7")(record.record)
app.command(epilog="Example: edge-agent detect --json photo.jpg videos/")(detect.detect)
app.command(epilog="Example: edge-agent doctor --source 0")(doctor.doctor)
app.command(epilog="Example: edge-agent train --data data/synth --out runs/first")(train.train)
app.command(epilog="Example: edge-agent evaluate --images photos --annotations coco.json")(evaluate.evaluate)
app.command(epilog="Example: edge-agent bench --quick --only 1,2")(bench.bench)
app.add_typer(config.app, name="config")
app.add_typer(dataset.app, name="dataset")
app.add_typer(engine.app, name="engine")
app.add_typer(hub.app, name="hub")
app.add_typer(mirror.app, name="mirror")


def main() -> None:
    """Run the program; a failure of ours is one line on stderr (one each where there are several) and an exit code."""
    try:
        app()
    except EdgeAgentError as error:
        _fail(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; there is nobody to tell
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _fail("the output could not be written, the disk is full; free some space")
        sys.exit(1)


def _fail(lines: str) -> None:
    """Tell on stderr (as errors in the journal where that is it), and the service manager where there is one."""
    for line in lines.splitlines():
        log.failure(line)
    if os.environ.get("NOTIFY_SOCKET"):
        from edge_agent.agent.notify import Notifier

        Notifier().status(" | ".join(lines.splitlines()))
