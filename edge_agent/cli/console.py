"""`edge-agent console`: the console of many trains, from their Kafka topics.

Knows options. Knows nothing of how trains are shown.
"""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import ConfigOption, ProfileOption

ServersOption = Annotated[
    str | None, typer.Option("--bootstrap-servers", metavar="HOST:PORT,...", help="Brokers of Kafka to ask first.")
]
TopicOption = Annotated[str | None, typer.Option("--topic", metavar="NAME", help="Topic of the trains' events.")]
ListenOption = Annotated[
    str | None,
    typer.Option("--listen", metavar="HOST:PORT", help="Where to serve the page; 127.0.0.1:8080 by default."),
]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Token that the page asks for before a command.")
]
TrainTokenOption = Annotated[
    Path | None,
    typer.Option("--train-token-file", metavar="FILE", help="The trains' command token; without it they only stop."),
]
SinceOption = Annotated[
    float, typer.Option("--since", min=0, max=3600, metavar="S", help="Begin so many seconds back.")
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
    """Show all trains whose events come to Kafka, until Ctrl-C. Needs nothing of the trains' network, keeps nothing."""
    import asyncio

    from edge_agent.cli.link import with_run_token
    from edge_agent.cli.options import host_and_port
    from edge_agent.config import load
    from edge_agent.console.fleet import run
    from edge_agent.console.server import listen as open_door
    from edge_agent.runtime import log

    overrides: dict[str, object] = {
        "kafka.bootstrap_servers": [part.strip() for part in bootstrap_servers.split(",")]
        if bootstrap_servers is not None
        else None,
        "kafka.topic": topic,
        "console.token_file": str(token_file.absolute()) if token_file else None,
        "kafka.command_token_file": str(train_token_file.absolute()) if train_token_file else None,
    }
    if listen is not None:
        host, port = host_and_port(listen, "--listen")
        overrides |= {"console.host": host, "console.port": port}
    settings = load(config, overrides, profile=profile).settings
    log.configure(settings.log.level, settings.log.format)
    door = open_door(settings.console)
    asyncio.run(run(with_run_token(settings), door, history_s=since))
