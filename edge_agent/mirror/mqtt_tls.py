"""Settings of TLS -> what Python needs to connect by it.

Knows certificates. Knows nothing of MQTT.
"""

import ssl

from edge_agent.config import Mqtt
from edge_agent.errors import ConfigError


def tls_context(settings: Mqtt) -> ssl.SSLContext | None:
    """Return what TLS needs, None where it is off; raises ConfigError for a file that cannot be used."""
    tls = settings.tls
    if not tls.enabled:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise _unusable("mqtt.tls.ca_file", tls.ca_file, error) from None
    context.sslsocket_class = _ClosingSocket
    context.check_hostname = tls.check_hostname
    if tls.certificate_file is not None and tls.key_file is not None:
        try:
            # Without a function OpenSSL would ask for a passphrase on the terminal, and wait for ever.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: "")
        except OSError as error:
            raise _unusable("mqtt.tls.certificate_file and key_file", tls.certificate_file, error) from None
    return context


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself where the two sides do not agree on TLS; paho would leave that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """Agree with the broker on TLS."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _unusable(key: str, path: object, error: OSError) -> ConfigError:
    why = "not usable as PEM" if isinstance(error, ssl.SSLError) else error.strerror
    return ConfigError(f"{key}: {path}: {why}", remedy="name readable PEM files; the key without a passphrase")
