"""Whatever happens, in any order: a stop is a stop. `python -m tests.soak.orders` goes on for a million steps."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from edge_agent.events import GuardState
from tests.support.order_machine import OrderMachine


@pytest.fixture
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.timeout(300)  # for a machine that has much else to do: it takes six seconds
@pytest.mark.usefixtures("_quiet")
def test_orders_signs_faults_and_floods_in_any_order_never_move_a_train_that_must_stand() -> None:
    how = settings(
        max_examples=120,
        stateful_step_count=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OrderMachine, settings=how)
    seen = OrderMachine.seen
    assert seen["motor", "drive"] > OrderMachine.steps / 10, "a train that stands proves nothing"
    for channel in ("mqtt", "kafka", "console", "crazy-train"):
        assert seen[channel, "accepted"]
        assert seen[channel, "stopped"]
    for state in (GuardState.RUNNING, GuardState.STOPPING, GuardState.ARMED_STOPPED, GuardState.FAULT_LATCHED):
        assert seen["guard", state]
