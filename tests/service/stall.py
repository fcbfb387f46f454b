"""The program, whose event loop can be blocked by SIGUSR1 while its threads go on."""

import signal
import time

from edge_agent.cli import main

BLOCKED_S = 600.0


def _block(_number: int, _frame: object) -> None:
    time.sleep(BLOCKED_S)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _block)
    main()
