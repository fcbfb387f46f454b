"""Payloads that are sent by MQTT only: telemetry, and the replies to commands.

The JSON Schemas in docs/schemas/mqtt are generated from these classes by `python -m tools.schemas docs/schemas`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from edge_agent.control.commands import Code
from edge_agent.events import GuardState, HubStatus, Prediction, TrainState
from edge_agent.observers.cloudevents.payloads import Milliseconds, Percent, Timestamp


@dataclass(frozen=True, slots=True)
class TelemetryData:
    """Figures of the last second; null where a value is not known."""

    guard: GuardState | None
    power_percent: Annotated[int | None, Field(ge=-100, le=100)]
    speed_mm_s: Annotated[float | None, Field(description="Known in the simulated world only; the motor reports none.")]
    battery_percent: Percent | None
    voltage_mv: int | None
    current_ma: int | None
    rssi_dbm: int | None
    frames_per_s: Annotated[float, Field(ge=0, description="Captured by the camera.")]
    predictions_per_s: Annotated[float, Field(ge=0, description="Made by the detector.")]
    inference_ms: Annotated[Milliseconds | None, Field(description="Mean of the second.")]
    latency_ms: Annotated[Milliseconds | None, Field(description="From exposure to prediction, mean of the second.")]
    waiting: Annotated[int, Field(ge=0, description="Events that wait for the broker.")]
    dropped: Annotated[int, Field(ge=0, description="Events and images that the broker never got, since the start.")]


@dataclass(frozen=True, slots=True)
class ReplyData:
    """The outcome of a command."""

    command: Annotated[str, Field(description="The command's name, from its topic.")]
    id: Annotated[str | None, Field(description="The id that the sender gave it.")]
    accepted: bool
    code: Annotated[Code | None, Field(description="Why it was refused; null where it was accepted.")]
    reason: Annotated[str, Field(description="In words: why it was refused, or why the guard is in its state.")]
    state: Annotated[
        str | None, Field(description="The guard's state after the command, or for which it refused the command.")
    ]
    train_time: Annotated[Timestamp, Field(description="The train's clock, to compare with the sender's.")]


Payload = TelemetryData | ReplyData
PAYLOADS: dict[Literal["telemetry", "reply"], type[Payload]] = {"telemetry": TelemetryData, "reply": ReplyData}

_ADAPTERS: dict[type[Payload], TypeAdapter[Payload]] = {payload: TypeAdapter(payload) for payload in PAYLOADS.values()}


def dump(data: Payload) -> bytes:
    """Return the JSON of a payload."""
    return _ADAPTERS[type(data)].dump_json(data)


class TelemetryMeter:
    """Sums up the events of one second for telemetry."""

    def __init__(self) -> None:
        self._state: TrainState | None = None
        self._speed_mm_s: float | None = None
        self._frames = 0
        self._inference_ms: list[float] = []
        self._latency_ms: list[float] = []

    def prediction(self, event: Prediction) -> None:
        """Add a prediction."""
        self._inference_ms.append(event.inference_ms)
        self._latency_ms.append((event.done_s - event.taken_s) * 1000)

    def state(self, event: TrainState, speed_mm_s: float | None) -> None:
        """Replace the newest state."""
        self._state, self._speed_mm_s = event, speed_mm_s

    def read(self, frames: int, period_s: float, *, waiting: int, dropped: int) -> TelemetryData:
        """Return the figures of the last `period_s` and start the next; `frames` counts since the agent's start."""
        state, hub = self._state, self._state.hub if self._state else HubStatus(connected=False)
        data = TelemetryData(
            guard=state.guard if state else None,
            power_percent=state.power_percent if state else None,
            speed_mm_s=None if self._speed_mm_s is None else round(self._speed_mm_s, 1),
            battery_percent=hub.battery_percent,
            voltage_mv=hub.voltage_mv,
            current_ma=hub.current_ma,
            rssi_dbm=hub.rssi_dbm,
            frames_per_s=round((frames - self._frames) / period_s, 1),
            predictions_per_s=round(len(self._inference_ms) / period_s, 1),
            inference_ms=_mean(self._inference_ms),
            latency_ms=_mean(self._latency_ms),
            waiting=waiting,
            dropped=dropped,
        )
        self._frames = frames
        self._inference_ms, self._latency_ms = [], []
        return data


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None
