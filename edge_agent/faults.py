"""The catalogue of faults, and the reporter: a report when one appears, again while it lasts, and once when it is over.

docs/operate.md documents each kind; tests/test_fault_codes.py compares the page with this catalogue.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_agent.events import Fault, Severity


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What can go wrong: a stable code, how bad it is, and what a person can do about it.

    Args:
        code: stable; people filter and alert on it.
        severity: unless the reporting room asks for another one.
        remedy: unless the reporting room has one that fits the case better.
        group: of its kinds at most one is active at a time, and another takes its place: the link to a broker is down
            for one reason.
        grace_s: a fault that is over sooner is never reported; within a group the time since its first fault counts.
        repeat_s: while it lasts it is reported again after this time; 0 is each time, for what merely happens and is
            never over.
        repeat_changed: while it lasts it is reported again whenever its message or remedy changes.
    """

    code: str
    severity: Severity = Severity.INFO
    remedy: str = ""
    group: str = ""
    grace_s: float = 0.0
    repeat_s: float = math.inf
    repeat_changed: bool = False


@dataclass(frozen=True, slots=True)
class FaultReport:
    """A Fault before the event loop has put its time on it: a mirror's thread has no clock that the train shares."""

    code: str
    message: str = "over"
    remedy: str = ""
    severity: Severity = Severity.INFO
    active: bool = True

    def at(self, at_s: float) -> Fault:
        """Return the fault with its time, in seconds on the event loop's clock."""
        return Fault(self.code, self.message, self.remedy, self.severity, at_s, self.active)


@dataclass(slots=True)
class _Condition:
    since_s: float
    reported: FaultReport | None = None
    reported_s: float = -math.inf


class FaultReporter:
    """Reports what is wrong when it appears, again as its kind asks for, and once when it is over.

    It belongs to one thread, in which it calls `publish`.

    Args:
        publish: gets each report; public, for reports that a reporter of another thread has made.
        clock: monotonic seconds; for grace and repetition only.
    """

    def __init__(self, publish: Callable[[FaultReport], None], clock: Callable[[], float]) -> None:
        self.publish = publish
        self._clock = clock
        self._conditions: dict[str, _Condition] = {}

    def report(
        self, kind: FaultKind, message: str, remedy: str | None = None, *, severity: Severity | None = None
    ) -> bool:
        """Note that something is wrong, now or still; return whether that was published."""
        now_s = self._clock()
        condition = self._conditions.setdefault(_key(kind), _Condition(now_s))
        if now_s - condition.since_s < kind.grace_s:
            return False
        report = FaultReport(
            kind.code, message, kind.remedy if remedy is None else remedy, severity or kind.severity, active=True
        )
        before = condition.reported
        if before is not None and before.code == kind.code:
            changed = kind.repeat_changed and before != report
            if not changed and now_s - condition.reported_s < kind.repeat_s:
                return False
        elif before is not None:
            self.publish(_over(before))
        condition.reported, condition.reported_s = report, now_s
        self.publish(report)
        return True

    def clear(self, kind: FaultKind, message: str = "over") -> bool:
        """Note that a fault, or its whole group, is over or was never there; return whether that was published."""
        condition = self._conditions.pop(_key(kind), None)
        if condition is None or condition.reported is None:
            return False
        self.publish(_over(condition.reported, message))
        return True

    def since_s(self, kind: FaultKind) -> float | None:
        """Return since when it has been wrong, by the clock; None where it is not."""
        condition = self._conditions.get(_key(kind))
        return None if condition is None else condition.since_s


def _key(kind: FaultKind) -> str:
    return kind.group or kind.code


def _over(report: FaultReport, message: str = "over") -> FaultReport:
    return replace(report, message=message, remedy="", active=False)


# The train. What brakes it:
EMERGENCY_STOP = FaultKind("emergency_stop", Severity.STOP, "find out why, then re-arm")
INTEGRITY = FaultKind("integrity", Severity.STOP, "correct the model or the configuration, then start the agent again")
LINK_LOST = FaultKind(
    "link_lost", Severity.STOP, "bring the hub near and switch it on; arm the train when it is connected"
)
LOOP_STALLED = FaultKind("loop_stalled", Severity.STOP, "see the log for what blocked the process, then re-arm")
BLIND = FaultKind("blind", Severity.STOP, "check the camera and the detector's pace")
HUB_SILENT = FaultKind("hub_silent", Severity.STOP, "switch the hub off and on, then arm the train again")
HUB_REFUSED = FaultKind(
    "hub_refused", Severity.DEGRADED, "unplug the motor and plug it in again; update the hub's firmware with LEGO's app"
)
HUB_SHARED = FaultKind(
    "hub_shared", Severity.DEGRADED, "switch off the handset or end the other program that drives this hub"
)
HUB_TROUBLE = FaultKind("hub_trouble", Severity.STOP, "change the batteries or free the train, then re-arm")
CAMERA_LOST = FaultKind("camera_lost", Severity.STOP, "check the cable and the power")
CAMERA_CHANGED = FaultKind("camera_changed", Severity.STOP, "set the camera back, or start the agent again")
CAMERA_LATE = FaultKind(
    "camera_late", Severity.DEGRADED, "use a faster link, or let the camera send smaller or fewer pictures"
)
CAMERA_LAG_UNKNOWN = FaultKind(
    "camera_lag_unknown", Severity.DEGRADED, "use the camera's RTSP address, where it has one, or a camera on USB"
)
INFERENCE_FAILED = FaultKind("inference_failed", Severity.STOP, repeat_s=0.0)

# What does not:
BATTERY_LOW = FaultKind("battery_low", Severity.DEGRADED, "change the batteries soon")
DISK_FULL = FaultKind("disk_full", Severity.DEGRADED)
SIGN_RULES_REFUSED = FaultKind(
    "sign_rules_refused", Severity.DEGRADED, "correct the file and reload again", repeat_s=0.0
)
SOURCE_DAMAGED = FaultKind("source_damaged", remedy="copy or record it again", repeat_s=0.0)
SOURCE_NOTED = FaultKind("source_noted", repeat_s=0.0)
DETECTOR_FINDS_NOTHING = FaultKind(
    "detector_finds_nothing",
    Severity.DEGRADED,
    "try it with edge-agent detect and evaluate; use another detector.model where it sees no signs",
)
GPU_UNAVAILABLE = FaultKind("gpu_unavailable")
ENGINE_NOT_BUILT = FaultKind("engine_not_built")
GPU_MEMORY = FaultKind("gpu_memory")
ENGINE_REFUSED = FaultKind("engine_refused")
ENGINE_UNUSABLE = FaultKind("engine_unusable")
GPU_FAILED = FaultKind("gpu_failed", Severity.DEGRADED)

# The observers.
OUTAGE_GRACE_S = 5.0
"""An outage of a link that is over sooner is not worth a person's attention."""
_MQTT_LINK, _KAFKA_LINK, _KAFKA_COMMANDS = "mqtt-link", "kafka-link", "kafka-commands"
_RESTART = "restart the agent"
_RESTART_AND_REPORT = "restart the agent and report the log"

MQTT_UNREACHABLE = FaultKind("mqtt_unreachable", group=_MQTT_LINK, grace_s=OUTAGE_GRACE_S)
MQTT_REFUSED = FaultKind("mqtt_refused", group=_MQTT_LINK)
MQTT_SETTINGS = FaultKind("mqtt_settings", group=_MQTT_LINK)
MQTT_DENIED = FaultKind("mqtt_denied", repeat_s=0.0)
MQTT_FAILED = FaultKind("mqtt_failed", remedy=_RESTART, group=_MQTT_LINK)
KAFKA_UNREACHABLE = FaultKind("kafka_unreachable", group=_KAFKA_LINK, grace_s=OUTAGE_GRACE_S)
KAFKA_REFUSED = FaultKind("kafka_refused", group=_KAFKA_LINK)
KAFKA_TOPIC_MISSING = FaultKind("kafka_topic_missing", group=_KAFKA_LINK)
KAFKA_SETTINGS = FaultKind("kafka_settings", group=_KAFKA_LINK)
KAFKA_DEAD_LETTER = FaultKind(
    "kafka_dead_letter",
    remedy="raise kafka.max_message_bytes and the topic's max.message.bytes, or send smaller frames",
    repeat_s=0.0,
)
KAFKA_COMPAT_UNSENT = FaultKind("kafka_compat_unsent", repeat_changed=True)
KAFKA_FAILED = FaultKind("kafka_failed", remedy=_RESTART)
KAFKA_COMMANDS_UNHEARD = FaultKind("kafka_commands_unheard", group=_KAFKA_COMMANDS, repeat_changed=True)
KAFKA_COMMANDS_AWAY = FaultKind(
    "kafka_commands_away", group=_KAFKA_COMMANDS, grace_s=OUTAGE_GRACE_S, repeat_changed=True
)
KAFKA_COMMANDS_UNREADABLE = FaultKind(
    "kafka_commands_unreadable", remedy="find out who sends them, and who may write to the topic", repeat_s=60.0
)
KAFKA_COMMANDS_FAILED = FaultKind("kafka_commands_failed", remedy=_RESTART)
OUTBOX_EVICTED = FaultKind(
    "outbox_evicted",
    remedy="restore the uplink, or raise kafka.outbox.max_images_mb, max_events_mb or max_events_h",
    repeat_s=10.0,
)
OUTBOX_SET_ASIDE = FaultKind("outbox_set_aside", repeat_s=0.0)
OUTBOX_STUCK = FaultKind("outbox_stuck", Severity.DEGRADED, repeat_changed=True)
OUTBOX_SLOW = FaultKind(
    "outbox_slow", Severity.DEGRADED, "stop what else writes to it, or put kafka.outbox.path on a faster disk"
)
OUTBOX_NOT_DURABLE = FaultKind("outbox_not_durable", Severity.DEGRADED, repeat_s=0.0)
OUTBOX_LOST = FaultKind("outbox_lost", Severity.DEGRADED, "check the disk that holds the outbox", repeat_s=10.0)
OUTBOX_FAILED = FaultKind("outbox_failed", Severity.DEGRADED, _RESTART_AND_REPORT)
CONSOLE_PORT_TAKEN = FaultKind("console_port_taken")

# The console of a fleet shows this on its page and in its log; it is no event of a train.
KAFKA_AWAY = FaultKind("kafka_away", repeat_changed=True)


def observer_failed(name: str) -> FaultKind:
    """Return the kind for a defect of an observer, or of a task, of that name: a defect never stops the train."""
    return FaultKind(f"{name}_failed", Severity.DEGRADED, "report this, with the log", repeat_s=0.0)
