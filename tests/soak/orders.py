"""Orders, signs, faults and floods in any order for a million steps: `python -m tests.soak.orders --steps 1000000`.

tests/support/order_machine.py has the steps and what must hold. It ends at the first violation, reduced by hypothesis
to the shortest course of events that shows it.
"""

import argparse
import logging
import time

import structlog
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.order_machine import OrderMachine

EXAMPLES = 300
"""Courses of events at a time; hypothesis forgets what it has tried after them."""


def main() -> None:
    """Run the steps, each a command or an event; raises AssertionError on a violation."""
    parser = argparse.ArgumentParser(description="Orders in any sequence.")
    parser.add_argument("--steps", type=int, default=1_000_000)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=60,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    began_s = time.monotonic()
    while OrderMachine.steps < asked.steps:
        run_state_machine_as_test(OrderMachine, settings=how)
    seen, took_s = OrderMachine.seen, time.monotonic() - began_s
    accepted = sum(count for (_, what), count in seen.items() if what == "accepted")
    print(f"{OrderMachine.steps} steps in {took_s:.0f} s: {accepted} commands accepted, no violation")
    print(f"{seen['motor', 'drive']} writes drove the train; states: {dict(_states())}")


def _states() -> list[tuple[str, int]]:
    return sorted((str(state), count) for (kind, state), count in OrderMachine.seen.items() if kind == "guard")


if __name__ == "__main__":
    main()
