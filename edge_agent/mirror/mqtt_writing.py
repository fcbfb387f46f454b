"""How paho's packets get into the socket: at once, as long as it takes them.

Knows paho's calls for other people's event loops. Knows nothing of what is written. aiomqtt has the loop watch the
socket for each packet and stop watching it again, which takes the loop four turns for what is one call.
"""

import asyncio
import threading
from typing import Any


class Writes:
    """Writes the packets of one client of paho's; made in the thread of the loop, before the client connects.

    What paho wants to write from another thread, as it does while it connects, is left to aiomqtt; so is a socket that
    takes no more.
    """

    def __init__(self, paho: Any) -> None:
        self._paho = paho
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._watch, self._leave = paho.on_socket_register_write, paho.on_socket_unregister_write
        self._watched = False
        paho.on_socket_register_write, paho.on_socket_unregister_write = self._register, self._unregister

    def write(self) -> None:
        """Write what waits; where the socket takes no more now, the rest follows when it does."""
        try:
            self._paho.loop_write()
        except Exception:  # noqa: BLE001 - aiomqtt knows what to do about it, and meets it once more
            self._have_watched()
        if self._paho.want_write():
            self._have_watched()

    def write_unheard(self) -> None:
        """Write what waits, for those who ask paho what is written: to tell it, paho makes three objects a packet."""
        told, self._paho.on_publish = self._paho.on_publish, None
        try:
            self.write()
        finally:
            self._paho.on_publish = told

    def _have_watched(self) -> None:
        sock = self._paho.socket()
        if sock is not None and not self._watched:
            self._watched = True
            self._watch(self._paho, None, sock)

    def _register(self, paho: Any, data: Any, sock: Any) -> None:
        """Be told that there is something to write; not at once: paho may be in the middle of something."""
        if threading.get_ident() == self._thread_id:
            self._loop.call_soon(self.write)
        else:
            self._watched = True
            self._watch(paho, data, sock)

    def _unregister(self, paho: Any, data: Any, sock: Any) -> None:
        """Be told that all is written, or that the socket is closed."""
        if self._watched:
            self._watched = False
            self._leave(paho, data, sock)
