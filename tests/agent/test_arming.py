"""Which trains arm themselves: a real one waits for a person after each start."""

import pytest

from edge_agent.agent.build import build_control_parameters
from edge_agent.config import Settings, load_rules


@pytest.mark.parametrize(
    ("hub", "emulated", "arm", "by_itself"),
    [
        ("ble", False, "auto", False),
        ("ble", False, "never", False),
        ("ble", False, "always", True),
        ("ble", True, "auto", True),
        ("ble", True, "never", False),
        ("mock", False, "auto", True),
        ("mock", False, "never", False),
    ],
)
def test_train_arms_itself_only_where_nothing_real_moves_or_its_owner_said_so(
    hub: str, emulated: bool, arm: str, by_itself: bool
) -> None:
    plain = Settings()
    how = plain.model_copy(
        update={
            "hub": plain.hub.model_copy(update={"kind": hub}),
            "guard": plain.guard.model_copy(update={"arm": arm}),
        }
    )
    assert build_control_parameters(how, load_rules(), emulated=emulated).auto_arm is by_itself


def test_shipped_settings_leave_arming_to_the_kind_of_hub() -> None:
    assert Settings().guard.arm == "auto"
