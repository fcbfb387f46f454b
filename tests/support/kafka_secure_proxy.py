"""A proxy that adds TLS, client certificates and SASL (PLAIN and SCRAM) to a broker without security.

It speaks just enough of the Kafka protocol to authenticate a client: ApiVersions goes to the broker, SaslHandshake and
SaslAuthenticate are answered here (RFC 5802 for SCRAM), and behind them bytes are piped both ways. So the client's own
TLS and SASL are tested against an independent server, which the broker in memory does not have.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
import ssl
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.proxy import free_port

_HANDSHAKE, _API_VERSIONS, _AUTHENTICATE = 17, 18, 36
_UNSUPPORTED, _FAILED = 33, 58
_ITERATIONS = 4096
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def server_tls(authority: Path, certificate: Path, key: Path, *, clients: bool) -> ssl.SSLContext:
    """Return a server's context; with `clients`, only those with a certificate of the authority are accepted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@dataclass
class _Connection:
    """Authentication state of one connection."""

    mechanism: str = ""
    admitted: bool = False
    first: str = ""
    server_first: str = ""
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))


class SecureProxy:
    """Forwards clients to `target_port`; `users` maps names to passwords, None requires no password."""

    def __init__(
        self, target_port: int, *, tls: ssl.SSLContext | None = None, users: dict[str, str] | None = None
    ) -> None:
        self.port = free_port()
        self.admitted: list[str] = []
        self._target_port = target_port
        self._tls = tls
        self._users = users
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="door", daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._loop.set_exception_handler(lambda *_: None)  # clients that are refused say so themselves
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _begin(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.05)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            if self._users is None or await self._let_in(reader, writer, broker_reader, broker_writer):
                await asyncio.gather(_pipe(reader, broker_writer), _pipe(broker_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for each in (writer, broker_writer):
                each.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await each.wait_closed()

    async def _let_in(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        broker_reader: asyncio.StreamReader,
        broker_writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer until the client is admitted; False where it is not."""
        client = _Connection()
        while not client.admitted:
            frame = await _frame(reader)
            api, version, number = struct.unpack_from(">hhi", frame)
            if api == _API_VERSIONS:
                broker_writer.write(struct.pack(">i", len(frame)) + frame)
                answer = await _frame(broker_reader)
            elif api in {_HANDSHAKE, _AUTHENTICATE}:
                body = frame[10 + max(0, struct.unpack_from(">h", frame, 8)[0]) :]
                code, text = self._handshake(client, body) if api == _HANDSHAKE else self._authenticate(client, body)
                answer = struct.pack(">i", number) + _answer(api, version, code, text)
            else:
                return False
            writer.write(struct.pack(">i", len(answer)) + answer)
            await writer.drain()
        return True

    def _handshake(self, client: _Connection, body: bytes) -> tuple[int, bytes]:
        client.mechanism = body[2:].decode()
        return (0 if client.mechanism in _MECHANISMS else _UNSUPPORTED), b""

    def _authenticate(self, client: _Connection, body: bytes) -> tuple[int, bytes]:
        sent = body[4:].decode()
        if client.mechanism == "PLAIN":
            _, name, password = sent.split("\0")
            return self._admit(client, name, (self._users or {}).get(name) == password), b""
        return self._scram(client, sent)

    def _scram(self, client: _Connection, sent: str) -> tuple[int, bytes]:
        if not client.server_first:
            client.first = sent.removeprefix("n,,")
            nonce = dict(part.split("=", 1) for part in client.first.split(","))["r"] + secrets.token_hex(8)
            client.server_first = f"r={nonce},s={base64.b64encode(client.salt).decode()},i={_ITERATIONS}"
            return 0, client.server_first.encode()
        name = dict(part.split("=", 1) for part in client.first.split(","))["n"]
        password = (self._users or {}).get(name, secrets.token_hex())
        kind = "sha256" if client.mechanism.endswith("256") else "sha512"
        salted = hashlib.pbkdf2_hmac(kind, password.encode(), client.salt, _ITERATIONS)
        bare, _, proof = sent.rpartition(",p=")
        message = f"{client.first},{client.server_first},{bare}".encode()
        client_key = hmac.digest(salted, b"Client Key", kind)
        signature = hmac.digest(hashlib.new(kind, client_key).digest(), message, kind)
        expected = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        code = self._admit(client, name, hmac.compare_digest(expected, base64.b64decode(proof)))
        verifier = hmac.digest(hmac.digest(salted, b"Server Key", kind), message, kind)
        return code, b"v=" + base64.b64encode(verifier)

    def _admit(self, client: _Connection, name: str, known: bool) -> int:
        client.admitted = known
        if known:
            self.admitted.append(f"{name} by {client.mechanism}")
        return 0 if known else _FAILED


def _answer(api: int, version: int, code: int, text: bytes) -> bytes:
    if api == _HANDSHAKE:
        names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in _MECHANISMS)
        return struct.pack(">hi", code, len(_MECHANISMS)) + names
    answer = struct.pack(">hhi", code, -1, len(text)) + text
    return answer + struct.pack(">q", 0) if version >= 1 else answer


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    raise ConnectionResetError  # one half that ends ends both
