"""Everything that a console serves, in one list.

Knows which parts there are. Knows nothing of what they do.
"""

from starlette.routing import BaseRoute

from edge_agent.console.api import read_routes
from edge_agent.console.app import ConsoleApp
from edge_agent.console.commands import Commander, command_routes
from edge_agent.console.mjpeg import stream_routes
from edge_agent.console.openapi import openapi_routes
from edge_agent.console.static_files import page_routes
from edge_agent.console.websocket import live_routes


def console_routes(site: ConsoleApp, commander: Commander | None) -> list[BaseRoute]:
    """Return the page, the REST interface and the live connection of a console; without `commander` it only shows."""
    site.commanded = commander is not None
    commands = command_routes(site, commander) if commander is not None else []
    return [*page_routes(), *openapi_routes(), *read_routes(site), *stream_routes(site), *live_routes(site), *commands]
