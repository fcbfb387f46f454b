"""Who may command: whoever shows the console's token, and whom a trusted proxy has logged in.

Knows the settings, headers and addresses. Knows nothing of trains. Looking needs nothing of this; every command does,
a stop too: a page that an audience may open must not let the audience stop the show. (On the train's own channels
anybody may stop it, see docs/decisions/0014-commands.md.)
"""

import hmac
import ipaddress
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import HTTPConnection

from edge_agent.config import ConsoleSettings, read_secret
from edge_agent.console.responses import ApiError
from edge_agent.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Origins:
    """The web sites that may use this console: its own, and those of `allowed` (as `https://host:port`)."""

    allowed: frozenset[str]
    names: frozenset[str]

    def host_is_ours(self, host: str | None) -> bool:
        """Tell whether we answer to the name in a Host header; an address always is ours."""
        name = _name(host or "")
        return name is not None and (name in self.names or _is_address(name))

    def may_look(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a request may come from a page of ours; a program that is no browser names no origin."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        return self._ours(origin, headers.get("host"))

    def surely_ours(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a request certainly comes from a page of ours: a browser says so."""
        origin = headers.get("origin")
        if origin is not None:
            return self._ours(origin, headers.get("host"))
        return headers.get("sec-fetch-site") == "same-origin"

    def _ours(self, origin: str, host: str | None) -> bool:
        if origin.lower() in self.allowed:
            return True
        parts = urlsplit(origin) if origin.isprintable() else None
        return parts is not None and parts.scheme in ("http", "https") and parts.netloc.lower() == (host or "").lower()


def origins(allowed: tuple[str, ...], *, host: str) -> Origins:
    """Return the origins of a console that listens on `host`."""
    own = socket.gethostname().lower()
    names = {"localhost", own, own.partition(".")[0], f"{own.partition('.')[0]}.local", host.lower()}
    texts = {origin.lower().rstrip("/") for origin in allowed}
    names |= {name for origin in texts if (name := _name(urlsplit(origin).netloc)) is not None}
    return Origins(frozenset(texts), frozenset(names))


def _name(netloc: str) -> str | None:
    """Return the host of `host:port`, in lower case and without brackets; None where there is none."""
    try:
        return urlsplit(f"//{netloc}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


MAX_FAILURES = 10
FAILURES_S = 60.0
"""An address that has shown so many wrong tokens in this time is not listened to until it has passed."""

MAX_COMMANDS_PER_S = 10
_MAX_CLIENTS = 10_000
_MAX_NAME = 128
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who commands: a name for the log and the train, and the token that was shown; without one a proxy vouches."""

    name: str
    token: SecretStr | None = field(default=None, repr=False)

    @property
    def vouched(self) -> bool:
        """A proxy has logged the caller in."""
        return self.token is None


class ClientRateLimiter:
    """Counts what each client did in the last seconds; forgets the oldest clients when there are too many."""

    def __init__(self, most: int, within_s: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._within_s = within_s
        self._clock = clock
        self._clients: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, client: str) -> None:
        """Count once."""
        times = self._clients.setdefault(client, deque(maxlen=self._most))
        times.append(self._clock())
        self._clients.move_to_end(client)
        if len(self._clients) > _MAX_CLIENTS:
            self._clients.popitem(last=False)

    def wait_s(self, client: str) -> float:
        """Return how long the client has to wait; 0 where it need not."""
        times = self._clients.get(client)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._within_s - self._clock())


class Authenticator:
    """Says who a request comes from.

    Args:
        settings: of the console.
        origins: which pages are ours.
        clock: monotonic seconds.
    """

    def __init__(self, settings: ConsoleSettings, origins: Origins, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._origins = origins
        self._proxies = frozenset(map(str, settings.trusted_proxies))
        self._failures = ClientRateLimiter(MAX_FAILURES, FAILURES_S, clock)
        self._commands = ClientRateLimiter(MAX_COMMANDS_PER_S, 1.0, clock)

    @property
    def takes_token(self) -> bool:
        """There is a token by which one may command."""
        return self._settings.token is not None or self._settings.token_file is not None

    def user(self, request: HTTPConnection) -> str | None:
        """Return whom a trusted proxy has logged in; None where there is none, or nobody."""
        header = self._settings.user_header
        if header is None or not self._behind_proxy(request):
            return None
        name = request.headers.get(header, "").strip()[:_MAX_NAME]
        return name if name and name.isprintable() else None

    def client(self, request: HTTPConnection) -> str:
        """Return the address that a request comes from: by a trusted proxy's word where there is one."""
        address = request.client.host if request.client else "?"
        if self._settings.user_header is not None and self._behind_proxy(request):
            told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            return told[:64] if told and told.isprintable() else address
        return address

    def authorise(self, request: HTTPConnection, read_token: SecretStr | None) -> Caller:
        """Return who commands; raises Refusal (401, 403, 429). `read_token` is the console's token as it is now."""
        client, user = self.client(request), self.user(request)
        header = request.headers.get("authorization")
        if header is not None:
            return self._by_token(header, client, read_token, user)
        if user is not None:
            if not self._origins.surely_ours(request.headers):
                raise ApiError(403, "a command has to come from the console's own page", "open it and command there")
            return Caller(user)
        if not self.takes_token and self._settings.user_header is None:
            remedy = "set console.token_file, or console.user_header behind a proxy that logs people in"
            raise ApiError(403, "this console only shows: no token is set", remedy)
        remedy = "send Authorization: Bearer with the console's token"
        raise ApiError(401, "commands need a token", remedy, {"WWW-Authenticate": "Bearer"})

    def pace(self, request: HTTPConnection) -> None:
        """Count a command that does more than stop; raises Refusal where there are too many."""
        client = self.client(request)
        wait_s = self._commands.wait_s(client)
        if wait_s > 0:
            raise _too_many(f"more than {MAX_COMMANDS_PER_S} commands in a second", wait_s)
        self._commands.add(client)

    def token(self) -> SecretStr | None:
        """Read the token as it is now. Blocks on a file; raises Refusal where that cannot be read."""
        try:
            return read_secret(self._settings.token, self._settings.token_file, "console.token_file")
        except ConfigError as error:
            raise ApiError(503, error.message, error.remedy) from None

    def _by_token(self, header: str, client: str, expected: SecretStr | None, user: str | None) -> Caller:
        wait_s = self._failures.wait_s(client)
        if wait_s > 0:
            raise _too_many("too many wrong tokens came from this address", wait_s)
        if expected is None:
            raise ApiError(403, "this console takes no token: none is set", "set console.token_file")
        scheme, _, shown = header.partition(" ")
        right = expected.get_secret_value().encode("utf-8", "surrogatepass")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode("latin-1", "replace"), right):
            self._failures.add(client)
            remedy = "look it up where console.token_file lies, or in the link that the program printed"
            raise ApiError(401, "this is not the console's token", remedy, {"WWW-Authenticate": "Bearer"})
        return Caller(user or f"token holder at {client}", expected)

    def _behind_proxy(self, request: HTTPConnection) -> bool:
        address = request.client.host if request.client else ""
        return address in _LOOPBACK or address in self._proxies


def _too_many(what: str, wait_s: float) -> ApiError:
    seconds = max(1, round(wait_s + 0.5))
    return ApiError(429, what, f"wait {seconds} s", {"Retry-After": str(seconds)})
