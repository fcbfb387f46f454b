"""The link by which the person at the terminal may command: a token for this one run, as Jupyter has it.

Knows terminals and addresses. Knows nothing of what is commanded. The token is in the link's fragment, which no browser
sends anywhere, and it goes to the terminal only: never into a log.
"""

import ipaddress
import secrets
import sys
from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from edge_agent.config import Settings


def with_run_token(settings: "Settings") -> "Settings":
    """Return settings with a token for this run, and print the link that has it.

    Only where no token is set, a person is at the terminal, and nobody but this machine can reach the page.
    """
    console = settings.console
    if console.token is not None or console.token_file is not None or console.user_header is not None:
        return settings
    if not console.enabled or not sys.stderr.isatty() or not _is_loopback(console.host):
        return settings
    token = secrets.token_urlsafe(16)
    host = f"[{console.host}]" if ":" in console.host else console.host
    sys.stderr.write(f"The page, with the right to command: http://{host}:{console.port}/#token={token}\n")
    return settings.model_copy(update={"console": console.model_copy(update={"token": SecretStr(token)})})


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
