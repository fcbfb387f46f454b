"""The agent with a fault: SIGUSR1 makes it hold the interpreter's lock for a minute, as a broken C library may."""

import ctypes
import signal

from edge_agent import cli


def hold(_number: int, _frame: object) -> None:
    ctypes.PyDLL(None).sleep(60)  # PyDLL, unlike CDLL, keeps the lock


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, hold)
    cli.main()
