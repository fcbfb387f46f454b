"""Event -> payload: what of a value of events.py other machines get to know.

Knows both sides. Knows nothing of envelopes or transports.
"""

from datetime import UTC, datetime

from edge_agent.events import CommandResult, Decision, Detection, Fault, HubStatus, MotorCommand, Prediction, TrainState
from edge_agent.observers.cloudevents.payloads import (
    AnswerData,
    BoxData,
    CommandData,
    DecisionData,
    DetectionData,
    FaultData,
    HubData,
    Payload,
    PredictionData,
    StateData,
)


def to_rfc3339(unix_s: float) -> str:
    """Return a wall-clock time as RFC 3339 text in UTC, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """Return what `moment` was given, in ms since 1970; raises ValueError for a text that is no moment."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def payload_of(event: Prediction | Decision | MotorCommand | Fault | TrainState | CommandResult) -> Payload:
    """Return what `event` says to other machines."""
    match event:
        case Prediction():
            return _prediction(event)
        case Decision():
            return _decision(event)
        case MotorCommand():
            return _command(event)
        case Fault():
            return FaultData(event.code, event.message, event.remedy, event.severity, event.active)
        case TrainState():
            return StateData(event.train_id, event.guard, event.reason, event.power_percent, _hub(event.hub))
        case CommandResult():
            return _answer(event)


def _ms_between(start_s: float | None, end_s: float) -> float | None:
    return None if start_s is None else round(max(0.0, end_s - start_s) * 1000, 2)


def _detection(found: Detection) -> DetectionData:
    box = found.box
    rounded = BoxData(round(box.x1, 1), round(box.y1, 1), round(box.x2, 1), round(box.y2, 1))
    return DetectionData(found.label, round(found.score, 4), rounded)


def _prediction(event: Prediction) -> PredictionData:
    return PredictionData(
        frame_id=event.frame_id,
        frame_sequence=event.sequence,
        taken_at=to_rfc3339(event.taken_unix_s),
        width=event.width,
        height=event.height,
        detections=tuple(_detection(found) for found in event.detections),
        inference_ms=round(event.inference_ms, 2),
        latency_ms=_ms_between(event.taken_s, event.done_s) or 0.0,
    )


def _decision(event: Decision) -> DecisionData:
    return DecisionData(
        decision_id=event.decision_id,
        frame_id=event.frame_id,
        action=event.action,
        power_percent=event.power_percent,
        sign=event.sign,
        reason=event.reason,
        latency_ms=_ms_between(event.taken_s, event.decided_s),
    )


def _command(event: MotorCommand) -> CommandData:
    return CommandData(
        command_id=event.command_id,
        kind=event.kind,
        power_percent=event.power_percent,
        reason=event.reason,
        decision_id=event.decision_id,
        frame_id=event.frame_id,
        latency_ms=_ms_between(event.taken_s, event.written_s),
    )


def _answer(event: CommandResult) -> AnswerData:
    return AnswerData(
        channel=event.channel,
        who=event.who,
        command_id=event.command_id,
        verb=event.verb,
        accepted=event.accepted,
        code=event.code,
        state=event.state,
        reason=event.reason,
    )


def _hub(hub: HubStatus) -> HubData:
    return HubData(
        connected=hub.connected,
        name=hub.name,
        battery_percent=hub.battery_percent,
        voltage_mv=hub.voltage_mv,
        current_ma=hub.current_ma,
        rssi_dbm=hub.rssi_dbm,
        alerts=tuple(sorted(hub.alerts)),
        button_pressed=hub.button_pressed,
        brake_confirmed=hub.brake_confirmed,
    )
