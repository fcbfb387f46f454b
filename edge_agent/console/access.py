"""Authorization: which web sites may read, and who may send commands.

Reading needs no credentials. Every command needs the console's token or a user whom a trusted proxy has logged in; a
stop too, because a page that an audience may open must not let the audience stop the show. (Over MQTT and Kafka anybody
may stop a train, see docs/decisions/0014-commands.md.)
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
    """The web sites that may use this console: its own, and those in `allowed` (as `https://host:port`)."""

    allowed: frozenset[str]
    names: frozenset[str]

    def is_own_host(self, host: str | None) -> bool:
        """Return whether the console answers to the name in a Host header; to an IP address it always does."""
        # Otherwise a foreign name that resolves to this address (DNS rebinding) would count as the page's own origin.
        name = _name(host or "")
        return name is not None and (name in self.names or _is_address(name))

    def may_read(self, headers: Mapping[str, str]) -> bool:
        """Return False if a request certainly comes from another web site."""
        origin = headers.get("origin")
        if origin is None:
            # Programs other than browsers send neither header.
            return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        return self._is_own_origin(origin, headers.get("host"))

    def is_own_page(self, headers: Mapping[str, str]) -> bool:
        """Return True only if a browser states that the request comes from the console's own page."""
        origin = headers.get("origin")
        if origin is not None:
            return self._is_own_origin(origin, headers.get("host"))
        return headers.get("sec-fetch-site") == "same-origin"

    def _is_own_origin(self, origin: str, host: str | None) -> bool:
        if origin.lower() in self.allowed:
            return True
        scheme, separator, netloc = origin.lower().partition("://")
        return bool(separator) and scheme in ("http", "https") and netloc == (host or "").lower()


def origins(allowed: tuple[str, ...], *, host: str) -> Origins:
    """Return the origins of a console that listens on `host`."""
    own = socket.gethostname().lower()
    names = {"localhost", own, own.partition(".")[0], f"{own.partition('.')[0]}.local", host.lower()}
    texts = {origin.lower().rstrip("/") for origin in allowed}
    names |= {name for origin in texts if (name := _name(urlsplit(origin).netloc)) is not None}
    return Origins(frozenset(texts), frozenset(names))


def _name(netloc: str) -> str | None:
    """Return the host of `host:port`, in lower case and without brackets; None if there is none."""
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
"""After MAX_FAILURES wrong tokens in this time, further wrong ones of an address get a 429 until it has passed."""

MAX_COMMANDS_PER_S = 10
_MAX_CLIENTS = 10_000
_MAX_NAME_LENGTH = 128
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a command: a name for the log and the train, and the token; without one a proxy vouches for them."""

    name: str
    token: SecretStr | None = field(default=None, repr=False)

    @property
    def is_vouched_for(self) -> bool:
        """Whether a proxy has logged the caller in."""
        return self.token is None


class ClientRateLimiter:
    """Limits what each client may do in a time window; forgets the least recent clients if there are too many."""

    def __init__(self, limit: int, within_s: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._within_s = within_s
        self._clock = clock
        self._clients: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, client: str) -> None:
        """Count one action."""
        times = self._clients.setdefault(client, deque(maxlen=self._limit))
        times.append(self._clock())
        self._clients.move_to_end(client)
        if len(self._clients) > _MAX_CLIENTS:
            self._clients.popitem(last=False)

    def wait_s(self, client: str) -> float:
        """Return how long the client has to wait, in seconds; 0 if it need not."""
        times = self._clients.get(client)
        if times is None or len(times) < self._limit:
            return 0.0
        return max(0.0, times[0] + self._within_s - self._clock())


class Authenticator:
    """Finds out who sent a request, and refuses commands of those who may not send them.

    Args:
        settings: of the console.
        origins: the web sites that may use the console.
        clock: monotonic seconds.
    """

    def __init__(self, settings: ConsoleSettings, origins: Origins, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._origins = origins
        self._proxies = frozenset(map(str, settings.trusted_proxies))
        self._failures = ClientRateLimiter(MAX_FAILURES, FAILURES_S, clock)
        self._commands = ClientRateLimiter(MAX_COMMANDS_PER_S, 1.0, clock)

    @property
    def accepts_token(self) -> bool:
        """Whether a token is configured."""
        return self._settings.token is not None or self._settings.token_file is not None

    def user(self, request: HTTPConnection) -> str | None:
        """Return the user whom a trusted proxy has logged in; None if there is none."""
        header = self._settings.user_header
        if header is None or not self._behind_proxy(request):
            return None
        name = request.headers.get(header, "").strip()[:_MAX_NAME_LENGTH]
        return name if name and name.isprintable() else None

    def client(self, request: HTTPConnection) -> str:
        """Return the address that a request comes from; behind a trusted proxy, the one that it reports."""
        address = request.client.host if request.client else "?"
        if self._settings.user_header is not None and self._behind_proxy(request):
            forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            return forwarded[:64] if forwarded and forwarded.isprintable() else address
        return address

    def authorise(self, request: HTTPConnection, expected: SecretStr | None) -> Caller:
        """Return who sends a command; raises ApiError (401, 403, 429). `expected` is the result of `token()`."""
        client, user = self.client(request), self.user(request)
        header = request.headers.get("authorization")
        if header is not None:
            return self._by_token(header, client, expected, user)
        if user is not None:
            if not self._origins.is_own_page(request.headers):
                raise ApiError(403, "commands have to come from the console's own page", "open it and use its buttons")
            return Caller(user)
        if not self.accepts_token and self._settings.user_header is None:
            remedy = "set console.token_file, or console.user_header behind a proxy that logs users in"
            raise ApiError(403, "this console is read-only: no token is set", remedy)
        remedy = "send Authorization: Bearer with the console's token"
        raise ApiError(401, "commands need a token", remedy, {"WWW-Authenticate": "Bearer"})

    def check_rate(self, request: HTTPConnection) -> None:
        """Count a command; raises ApiError (429) if the client has sent too many. Not for commands that stop."""
        client = self.client(request)
        wait_s = self._commands.wait_s(client)
        if wait_s > 0:
            raise _too_many(f"more than {MAX_COMMANDS_PER_S} commands per second", wait_s)
        self._commands.add(client)

    def token(self) -> SecretStr | None:
        """Return the configured token. Blocks while it reads the file; raises ApiError (503) if that fails."""
        try:
            return read_secret(self._settings.token, self._settings.token_file, "console.token_file")
        except ConfigError as error:
            raise ApiError(503, error.message, error.remedy) from None

    def _by_token(self, header: str, client: str, expected: SecretStr | None, user: str | None) -> Caller:
        if expected is None:
            raise ApiError(403, "this console accepts no token: none is set", "set console.token_file")
        scheme, _, token = header.partition(" ")
        correct = expected.get_secret_value().encode("utf-8", "surrogatepass")
        # Before the limit: behind one proxy or NAT the stop of whoever has the token comes from the same address.
        if hmac.compare_digest(token.strip().encode("latin-1", "replace"), correct) and scheme.lower() == "bearer":
            return Caller(user or f"token holder at {client}", expected)
        wait_s = self._failures.wait_s(client)
        if wait_s > 0:
            raise _too_many("too many wrong tokens from this address", wait_s)
        self._failures.add(client)
        remedy = "see the file of console.token_file, or the link that the program printed at its start"
        raise ApiError(401, "wrong token", remedy, {"WWW-Authenticate": "Bearer"})

    def _behind_proxy(self, request: HTTPConnection) -> bool:
        address = request.client.host if request.client else ""
        return address in _LOOPBACK or address in self._proxies


def _too_many(error: str, wait_s: float) -> ApiError:
    seconds = max(1, round(wait_s + 0.5))
    return ApiError(429, error, f"wait {seconds} s", {"Retry-After": str(seconds)})
