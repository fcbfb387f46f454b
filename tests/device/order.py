"""`python -m device.order WORDS`: gives the hub on the air an order from a shell, and prints its answer."""

import json
import socket
import sys
from typing import Any

from .orders import ORDERS, SOCKET


def order(words: str, *, limit_s: float = 10.0) -> dict[str, Any]:
    """Give an order; return the answer."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(limit_s)
        peer.connect(SOCKET)
        peer.sendall(words.encode() + b"\n")
        with peer.makefile() as lines:
            return dict(json.loads(lines.readline()))


if __name__ == "__main__":
    if not sys.argv[1:]:
        print("\n".join(f"{name} {kind}: {what}" for name, (kind, what) in ORDERS.items()))
    else:
        print(json.dumps(order(" ".join(sys.argv[1:]))))
