"""Events to test with: one of each kind, linked as the pipeline links them."""

import numpy as np
import uuid_utils

from edge_agent.events import (
    Action,
    Box,
    CommandKind,
    CommandResult,
    Decision,
    Detection,
    Event,
    Fault,
    Frame,
    GuardState,
    HubStatus,
    MotorCommand,
    Prediction,
    Severity,
    TrainState,
)
from edge_agent.perception.vision import CameraPicture

UNIX_S = 1_795_285_200.25
"""The wall clock at the loop's time 0.25; 2026-11-21T18:20:00.250Z."""


def frame(number: int = 1, *, width: int = 600, height: int = 400, at_s: float = 0.25) -> Frame:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (40, 120, 200)
    cells = np.random.default_rng(number).integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    image[: cells.shape[0] * 4, : cells.shape[1] * 4] = np.kron(cells, np.ones((4, 4, 1), np.uint8))
    return Frame(str(uuid_utils.uuid7()), number, CameraPicture(image), at_s, UNIX_S - 0.25 + at_s)


def prediction(of: Frame, *detections: Detection) -> Prediction:
    width, height = of.picture.size
    return Prediction(
        of.frame_id, of.sequence, of.taken_s, of.taken_unix_s, width, height, detections, 14.25, of.taken_s + 0.03
    )


def sighting(label: str = "stop", score: float = 0.91234) -> Detection:
    return Detection(label, score, Box(100.04, 50.0, 140.0, 90.0))


def decision(of: Frame) -> Decision:
    return Decision(
        str(uuid_utils.uuid7()),
        of.frame_id,
        of.taken_s + 0.031,
        of.taken_s,
        Action.STOP,
        0,
        "stop",
        "sign stop is near",
    )


def command(of: Decision) -> MotorCommand:
    return MotorCommand(
        str(uuid_utils.uuid7()),
        CommandKind.BRAKE,
        0,
        of.decided_s + 0.002,
        "stop",
        of.decision_id,
        of.frame_id,
        of.taken_s,
    )


def fault(code: str = "camera_lost", *, at_s: float = 0.25) -> Fault:
    return Fault(code, "the camera is gone", "check the cable", Severity.STOP, at_s)


def state(guard: GuardState = GuardState.RUNNING, *, at_s: float = 0.25) -> TrainState:
    hub = HubStatus(True, battery_percent=81, voltage_mv=7512, alerts=frozenset({"low_voltage", "high_current"}))
    return TrainState("train-1", guard, "clear track", 75, hub, at_s, UNIX_S - 0.25 + at_s)


def answer(command_id: str | None = "c-1", *, at_s: float = 0.25) -> CommandResult:
    return CommandResult("kafka", "ada", command_id, "drive", True, None, "running", "clear track", at_s)


def one_of_each() -> list[Event]:
    """Return a frame, its prediction, the decision on it, the command that follows, a fault, a state and an answer."""
    seen = frame()
    decided = decision(seen)
    return [seen, prediction(seen, sighting()), decided, command(decided), fault(), state(), answer()]
