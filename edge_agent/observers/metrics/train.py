"""Figures that the events of a run add up to.

Knows events. Knows nothing of how they come here; one that was dropped on the way is missing in the figures, so frames
are counted by their numbers.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import Metric

from edge_agent.events import (
    CommandResult,
    Decision,
    Event,
    Fault,
    Frame,
    GuardState,
    HubStatus,
    MotorCommand,
    Prediction,
    TrainState,
)
from edge_agent.observers.metrics.registry import Counter, Histogram, Values, counter, gauge, info, single

_LATENCY_S = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
"""Around the budget of 100 ms a frame and the lease of 300 ms."""

_INFERENCE_S = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5)


class TrainMetrics:
    """Adds up the events of one train.

    Args:
        facts: tells the labels of `edge_agent_info`: the agent's version, the train, the detector that runs now.
    """

    def __init__(self, facts: Callable[[], Mapping[str, str]]) -> None:
        self._facts = facts
        self._captured = 0
        self._processed = 0
        self._inference = Histogram(_INFERENCE_S)
        self._to_prediction = Histogram(_LATENCY_S)
        self._to_command = Histogram(_LATENCY_S)
        self._detections, self._decisions, self._commands, self._faults = Counter(), Counter(), Counter(), Counter()
        self._answers = Counter()
        self._active: Values = {}
        self._state: TrainState | None = None
        self._frame_unix_s: float | None = None
        self._prediction_unix_s: float | None = None

    def fold(self, event: Event) -> None:
        """Add one event up."""
        match event:
            case Frame():
                self._captured = max(self._captured, event.sequence + 1)
                self._frame_unix_s = event.taken_unix_s
            case Prediction():
                self._fold_prediction(event)
            case Decision():
                self._decisions.add(event.action.value)
            case MotorCommand():
                self._commands.add(event.kind.value)
                if event.taken_s is not None:
                    self._to_command.add(event.written_s - event.taken_s)
            case Fault():
                if event.active:
                    self._faults.add(event.code, event.severity.value)
                self._active[(event.code,)] = float(event.active)
            case TrainState():
                self._state = event
            case CommandResult():
                self._answers.add(event.channel, "accepted" if event.accepted else str(event.code))

    def _fold_prediction(self, event: Prediction) -> None:
        self._processed += 1
        self._prediction_unix_s = event.taken_unix_s
        self._inference.add(event.inference_ms / 1000)
        self._to_prediction.add(event.done_s - event.taken_s)
        for detection in event.detections:
            self._detections.add(detection.label)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; from any thread."""
        yield info("What runs here.", self._facts())
        yield from self._flow()
        yield from self._health()
        if self._state is not None:
            yield from _state_metrics(self._state)

    def _flow(self) -> Iterator[Metric]:
        yield counter("frames_captured", "Frames taken from the camera.", {(): self._captured})
        yield counter("frames_processed", "Frames that the detector understood.", {(): self._processed})
        yield self._inference.metric("inference_duration_seconds", "Time that the detector took for a frame.")
        yield self._to_prediction.metric(
            "prediction_latency_seconds", "From the exposure of a frame to what was seen in it."
        )
        yield self._to_command.metric(
            "command_latency_seconds", "From the exposure of a frame to the write to the hub."
        )
        yield counter("detections", "Signs found.", self._detections.read(), ["label"])
        yield counter("decisions", "Changes of what the signs ask for.", self._decisions.read(), ["action"])
        yield counter("hub_commands", "Commands written to the hub.", self._commands.read(), ["kind"])
        answers = self._answers.read()
        yield counter("answers", "Commands from outside, and what became of them.", answers, ["channel", "result"])

    def _health(self) -> Iterator[Metric]:
        yield single("last_frame_timestamp_seconds", "When the newest frame was taken.", self._frame_unix_s)
        yield single(
            "last_prediction_timestamp_seconds",
            "When the newest frame that was understood was taken.",
            self._prediction_unix_s,
        )
        yield counter("faults", "Faults that appeared.", self._faults.read(), ["code", "severity"])
        yield gauge("fault_active", "1 while a fault lasts.", dict(self._active), ["code"])


def _state_metrics(state: TrainState) -> Iterator[Metric]:
    one_hot: Values = {(each.value,): float(each is state.guard) for each in GuardState}
    yield gauge("guard_state", "1 for the state that the guard is in.", one_hot, ["state"])
    yield single("motor_power_ratio", "Power written to the motor, -1 to 1.", state.power_percent / 100)
    yield from _hub_metrics(state.hub)


def _hub_metrics(hub: HubStatus) -> Iterator[Metric]:
    yield single("hub_connected", "1 while the hub is connected.", float(hub.connected))
    yield single("hub_battery_ratio", "Charge of the hub's battery, 0 to 1.", _scaled(hub.battery_percent, 100))
    yield single("hub_battery_volts", "Voltage of the hub's battery.", _scaled(hub.voltage_mv, 1000))
    yield single("hub_battery_amperes", "Current from the hub's battery.", _scaled(hub.current_ma, 1000))
    yield single("hub_signal_dbm", "Strength of the hub's signal.", hub.rssi_dbm)
    yield gauge(
        "hub_alert", "1 for each alert that the hub reports.", {(a,): 1.0 for a in sorted(hub.alerts)}, ["alert"]
    )


def _scaled(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit
