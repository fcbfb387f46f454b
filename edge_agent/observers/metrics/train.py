"""Metrics that the events of a run add up to: counters and histograms as events come, the newest state at each scrape.

An event that was dropped on its way here is missing in them, so frames are counted by their numbers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import InfoMetricFamily, Metric

from edge_agent import events
from edge_agent.observers.metrics.collectors import NAMESPACE, ScrapeCollector, Values, gauge

# Around the budget of 100 ms a frame and the lease of 300 ms.
_LATENCY_S = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
_INFERENCE_S = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5)


class TrainMetrics:
    """Adds up the events of one train; `fold` in the event loop, collected in any thread.

    Args:
        facts: returns the labels of `edge_agent_info`: the agent's version, the train, the detector that runs now.
    """

    def __init__(self, registry: CollectorRegistry, facts: Callable[[], Mapping[str, str]]) -> None:
        self._facts = facts
        self._state: events.TrainState | None = None
        self._frames = 0
        self._frame_unix_s: float | None = None
        self._prediction_unix_s: float | None = None

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(name, help_text, labels, namespace=NAMESPACE, registry=registry)

        def histogram(name: str, help_text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(name, help_text, namespace=NAMESPACE, registry=registry, buckets=buckets)

        self._captured = counter("frames_captured", "Frames taken from the camera.")
        self._processed = counter("frames_processed", "Frames that the detector understood.")
        self._inference_s = histogram(
            "inference_duration_seconds", "Time that the detector took for a frame.", _INFERENCE_S
        )
        self._to_prediction_s = histogram(
            "prediction_latency_seconds", "From the exposure of a frame to what was seen in it.", _LATENCY_S
        )
        self._to_command_s = histogram(
            "command_latency_seconds", "From the exposure of a frame to the write to the hub.", _LATENCY_S
        )
        self._detections = counter("detections", "Signs found.", "label")
        self._decisions = counter("decisions", "Changes of what the signs ask for.", "action")
        self._commands = counter("hub_commands", "Commands written to the hub.", "kind")
        self._answers = counter("answers", "Commands from outside, and what became of them.", "channel", "result")
        self._faults = counter("faults", "Faults that appeared.", "code", "severity")
        self._active = Gauge("fault_active", "1 while a fault lasts.", ["code"], namespace=NAMESPACE, registry=registry)
        registry.register(ScrapeCollector(self._collect))

    def fold(self, event: events.Event) -> None:
        """Count one event."""
        match event:
            case events.Frame():
                if event.sequence >= self._frames:
                    self._captured.inc(event.sequence + 1 - self._frames)
                    self._frames = event.sequence + 1
                self._frame_unix_s = event.taken_unix_s
            case events.Prediction():
                self._fold_prediction(event)
            case events.Decision():
                self._decisions.labels(event.action.value).inc()
            case events.MotorCommand():
                self._commands.labels(event.kind.value).inc()
                if event.taken_s is not None:
                    self._to_command_s.observe(max(0.0, event.written_s - event.taken_s))
            case events.Fault():
                if event.active:
                    self._faults.labels(event.code, event.severity.value).inc()
                self._active.labels(event.code).set(event.active)
            case events.TrainState():
                self._state = event
            case events.CommandResult():
                self._answers.labels(event.channel, "accepted" if event.accepted else str(event.code)).inc()

    def _fold_prediction(self, event: events.Prediction) -> None:
        self._processed.inc()
        self._prediction_unix_s = event.taken_unix_s
        self._inference_s.observe(max(0.0, event.inference_ms / 1000))
        self._to_prediction_s.observe(max(0.0, event.done_s - event.taken_s))
        for detection in event.detections:
            self._detections.labels(detection.label).inc()

    def _collect(self) -> Iterator[Metric]:
        """Yield what is read at each scrape: what runs, and values that may be unknown."""
        yield InfoMetricFamily(NAMESPACE, "What runs here.", value=dict(self._facts()))
        yield _single("last_frame_timestamp_seconds", "When the newest frame was taken.", self._frame_unix_s)
        yield _single(
            "last_prediction_timestamp_seconds",
            "When the newest frame that was understood was taken.",
            self._prediction_unix_s,
        )
        if self._state is not None:
            yield from _state_metrics(self._state)


def _state_metrics(state: events.TrainState) -> Iterator[Metric]:
    one_hot: Values = {(each.value,): float(each is state.guard) for each in events.GuardState}
    yield gauge("guard_state", "1 for the state that the guard is in.", one_hot, ["state"])
    yield _single("motor_power_ratio", "Power written to the motor, -1 to 1.", state.power_percent / 100)
    yield from _hub_metrics(state.hub)


def _hub_metrics(hub: events.HubStatus) -> Iterator[Metric]:
    yield _single("hub_connected", "1 while the hub is connected.", float(hub.connected))
    yield _single("hub_battery_ratio", "Charge of the hub's battery, 0 to 1.", _scaled(hub.battery_percent, 100))
    yield _single("hub_battery_volts", "Voltage of the hub's battery.", _scaled(hub.voltage_mv, 1000))
    yield _single("hub_battery_amperes", "Current from the hub's battery.", _scaled(hub.current_ma, 1000))
    yield _single("hub_signal_dbm", "Strength of the hub's signal.", hub.rssi_dbm)
    yield gauge(
        "hub_alert", "1 for each alert that the hub reports.", {(a,): 1.0 for a in sorted(hub.alerts)}, ["alert"]
    )


def _single(name: str, help_text: str, value: float | None) -> Metric:
    """Return a gauge without labels; it has no sample where the value is unknown."""
    return gauge(name, help_text, {} if value is None else {(): value})


def _scaled(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit
