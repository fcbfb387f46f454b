"""A run after a crash waits to be armed; one after an orderly end is armed as the settings say."""

from pathlib import Path

import pytest

from edge_agent.agent.lifecycle import CrashMarker
from edge_agent.config import Settings

ALWAYS = Settings().model_copy(update={"guard": Settings().guard.model_copy(update={"arm": "always"})})


def armed(marker: CrashMarker) -> str:
    return marker.without_auto_arm(ALWAYS).guard.arm


def test_run_after_one_that_died_waits_to_be_armed(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with CrashMarker(environment) as first:
        assert armed(first) == "always"
        with CrashMarker(environment) as second:  # as if the first had been killed
            assert armed(second) == "never"
            second.ended_well()
    with CrashMarker(environment) as third:
        assert armed(third) == "always"


def test_run_after_one_that_failed_waits_to_be_armed(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with pytest.raises(RuntimeError), CrashMarker(environment):
        raise RuntimeError
    with CrashMarker(environment) as again:
        assert armed(again) == "never"


@pytest.mark.parametrize("environment", [{}, {"RUNTIME_DIRECTORY": "/nonexistent/edge-agent"}])
def test_machine_without_such_a_folder_arms_as_the_settings_say(environment: dict[str, str]) -> None:
    for _ in range(2):
        with CrashMarker(environment) as marker:
            assert armed(marker) == "always"
