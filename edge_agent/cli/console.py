"""`edge-agent console`: the console of many trains, fed by their Kafka topics."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import (
    ConfigOption,
    ProfileOption,
    absolute,
    announce_console,
    host_and_port,
    with_run_token,
)

ServersOption = Annotated[
    str | None, typer.Option("--bootstrap-servers", metavar="HOST:PORT,...", help="Kafka brokers to contact first.")
]
TopicOption = Annotated[str | None, typer.Option("--topic", metavar="NAME", help="Topic of the trains' events.")]
ListenOption = Annotated[
    str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to serve the page; default 127.0.0.1:8080.")
]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="File with the token that sending commands takes.")
]
TrainTokenOption = Annotated[
    Path | None,
    typer.Option("--train-token-file", metavar="FILE", help="File with the trains' token; without it, they only stop."),
]
SinceOption = Annotated[
    float, typer.Option("--since", min=0, max=3600, metavar="S", help="Start with the events of the last S seconds.")
]


def console(
    bootstrap_servers: ServersOption = None,
    topic: TopicOption = None,
    listen: ListenOption = None,
    token_file: TokenOption = None,
    train_token_file: TrainTokenOption = None,
    since: SinceOption = 0.0,
    config: ConfigOption = None,
    profile: ProfileOption = None,
) -> None:
    """Show all trains whose events arrive in Kafka, until Ctrl-C.

    Needs no connection to the trains' network and stores nothing.
    """
    import asyncio

    from edge_agent.config import load
    from edge_agent.console.fleet import run
    from edge_agent.console.server import listen as open_socket
    from edge_agent.runtime import log

    overrides: dict[str, object] = {
        "kafka.bootstrap_servers": [part.strip() for part in bootstrap_servers.split(",")]
        if bootstrap_servers is not None
        else None,
        "kafka.topic": topic,
        "console.token_file": absolute(token_file),
        "kafka.command_token_file": absolute(train_token_file),
    }
    if listen is not None:
        host, port = host_and_port(listen, "--listen")
        overrides |= {"console.host": host, "console.port": port}
    settings = load(config, overrides, profile=profile).settings
    log.configure(settings.log.level, settings.log.format)
    socket = open_socket(settings.console)
    granted = with_run_token(settings)

    def announce() -> None:
        announce_console(granted, run_token=granted is not settings)

    asyncio.run(run(granted, socket, history_s=since, on_listening=announce))
