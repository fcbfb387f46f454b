"""Whether a request comes from our own page, or from another web site that a browser has open. Pure.

Knows the headers Host, Origin and Sec-Fetch-Site. Knows nothing of tokens. A name that anybody can register could be
made to point at us (DNS rebinding): so we answer to addresses, to our own names and to those that were configured.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


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
