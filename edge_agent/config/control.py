"""Settings of the control path: train, capture, simulator, detector, policy, guard and hub."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.config.base import Address, Percent, PositivePercent, Section, Text


class TrainSettings(Section):
    """Which train this is."""

    id: str = Field(
        "train-1",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        examples=["train-1"],
        description="The train's id in topics, events and logs: lower-case letters, digits and hyphens, at most 63.",
    )
    name: Text = Field("Train 1", max_length=80, description="The train's name for people.")

    @property
    def id_is_default(self) -> bool:
        """Whether the id is the one that every train has until it gets one of its own."""
        return bool(self.id == type(self).model_fields["id"].default)


class CaptureSettings(Section):
    """Where pictures come from, and how many a second."""

    source: Text = Field(
        "sim",
        description="`sim`, a camera (`0`, `/dev/video0`), a stream (`rtsp://...`), a video or a folder of images.",
    )
    fps: float = Field(10.0, gt=0, le=60, description="Frames taken from the source per second.")
    width: int = Field(600, ge=32, le=4096, description="Width in pixels of the picture that observers get.")
    height: int = Field(400, ge=32, le=4096, description="Height in pixels of the picture that observers get.")
    aspect: Literal["keep", "squeeze"] = Field(
        "keep",
        description="`keep`: that picture has the camera's shape, and is at most so wide and high; `squeeze`: it is "
        "exactly so wide and high, as in the original demo. The detector always gets the camera's own pixels.",
    )
    rotate: Literal[0, 90, 180, 270] = Field(
        0, description="Turn each picture clockwise by so many degrees; 180 for a camera that is mounted upside down."
    )
    flip: bool = Field(False, description="Mirror each picture left to right, after turning it.")
    camera_width: int = Field(
        640, ge=32, le=4096, description="Width in pixels to ask a camera for; the driver picks the nearest it has."
    )
    camera_height: int = Field(480, ge=32, le=4096, description="Height in pixels to ask a camera for.")
    realtime: bool = Field(
        True, description="Play files and folders at `fps`; false reads them as fast as the detector allows."
    )
    max_age_ms: int = Field(
        300, ge=20, le=5000, description="A frame older than this, in ms, is no longer given to the detector."
    )
    open_timeout_s: float = Field(10.0, gt=0, le=60, description="Time limit for opening the source, in seconds.")
    stall_timeout_ms: int = Field(
        2000, ge=200, le=60000, description="A live source that gives no new picture for this long, in ms, is reopened."
    )
    retry_initial_s: float = Field(
        0.5,
        gt=0,
        le=60,
        description="Wait before the first attempt to reopen a lost camera, in seconds; doubles each time.",
    )
    retry_max_s: float = Field(10.0, gt=0, le=300, description="Longest wait between two attempts, in seconds.")
    retry_for_s: float | None = Field(
        60.0,
        gt=0,
        description="Give up on a lost camera after this many seconds and end the run; null retries forever.",
    )

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.retry_max_s < self.retry_initial_s:
            raise ValueError("retry_max_s must not be less than retry_initial_s")
        return self


class SimSettings(Section):
    """The simulated world behind `capture.source: sim`."""

    seed: int = Field(1, ge=0, le=2**32 - 1, description="Seed of the track, textures, background, light and noise.")
    layout: Path | None = Field(
        None, description="A YAML file with track and signs; null generates them from the seed."
    )
    battery_percent: PositivePercent = Field(90, description="Charge of the simulated battery at the start.")
    time_limit_s: float = Field(
        120.0, gt=0, le=86400, description="End the mission on a generated track after this many seconds."
    )


class DetectorSettings(Section):
    """What detects signs in the frames."""

    backend: Literal["auto", "onnxruntime", "tensorrt", "none"] = Field(
        "auto",
        description="`auto` starts on ONNX Runtime and moves to TensorRT where that works; `none` detects nothing and "
        "never brakes for a sign.",
    )
    model: Path | None = Field(
        None,
        description="An ONNX file of the YOLO family, or its TensorRT engine; null takes the one shipped in engines/.",
    )
    precision: Literal["auto", "fp16", "int8", "fp32"] = Field(
        "auto",
        description="Precision of the TensorRT engine; `auto` takes fp16 where the model has such a file, else fp32.",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Least score of a detection that is shown; null shows all that the sign rules count. What a sign "
        "counts from is its rule's `min_score`, and a threshold above one is an error.",
    )
    iou: float = Field(
        0.5, gt=0, lt=1, description="Boxes whose IoU is above this are one sign (non-maximum suppression)."
    )
    threads: int = Field(
        0, ge=0, le=64, description="CPU threads of an inference; 0 takes two, or one on a single core."
    )
    max_detections: int = Field(
        50, ge=1, le=1000, description="At most this many detections per frame; the best are kept."
    )


class PolicySettings(Section):
    """How detections become decisions; the sign rules (signs.yaml) say what each sign asks for."""

    rules: Path | None = Field(None, description="The sign rules; null takes the signs.yaml that is shipped.")
    cruise_power_percent: PositivePercent = Field(
        60, description="Motor power, in percent, while no sign asks for anything."
    )
    track_gate: float = Field(
        1.2,
        gt=0,
        le=5,
        description="A box this far from where a sign is expected, in sizes of the sign, is still that sign.",
    )
    ignore_above_percent: float = Field(
        20.0,
        ge=0,
        le=90,
        description="Boxes whose centre is in this top part of the frame, in percent of its height, are ignored: the "
        "camera is higher than the signs, so only things in the room appear there.",
    )
    track_lost_ms: int = Field(
        500, ge=50, le=10000, description="A sign not detected for this long, in ms, has left the view."
    )


class GuardSettings(Section):
    """What the train may do: lease and limits of the fail-safe rules."""

    lease_ms: int = Field(300, ge=50, le=2000, description="Brake after this long without a fresh prediction, in ms.")
    hub_lease_ms: int = Field(
        300,
        ge=100,
        le=10000,
        description="Brake when the hub has not answered a motor command for this long, in ms, or for five connection "
        "intervals where that is longer; a hub that then leaves the brake unanswered too loses its link.",
    )
    latch_ms: int = Field(
        2000,
        ge=50,
        le=60000,
        description="After this long without a fresh prediction, or an answer of the hub, in ms, stay braked until "
        "re-armed.",
    )
    stop_time_ms: int = Field(
        700, ge=0, le=10000, description="A braked train is assumed to roll for this long, in ms."
    )
    tick_ms: int = Field(50, ge=5, le=200, description="The guard checks everything at least this often, in ms.")
    arm: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Arm at the start: `auto` only with a mocked or emulated hub, `never` waits for the operator.",
    )
    start_timeout_s: float = Field(
        30.0, gt=0, le=600, description="Camera, detector and hub must work within this time, in seconds."
    )
    exit_timeout_s: float = Field(
        5.0, gt=0, le=60, description="After SIGTERM the process exits within this time, in seconds, in any case."
    )
    loop_stall_ms: int = Field(
        200, ge=50, le=2000, description="When the event loop stalls for this long, in ms, the watchdog brakes."
    )
    low_voltage_mv: int = Field(6800, ge=3000, le=12000, description="Warn below this battery voltage, in mV.")
    critical_voltage_mv: int = Field(6000, ge=3000, le=12000, description="Stop below this battery voltage, in mV.")
    min_free_disk_mb: int = Field(
        50,
        ge=0,
        le=100000,
        description="With less free space in the state folder, in MB, the train is not armed again.",
    )

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.critical_voltage_mv >= self.low_voltage_mv:
            raise ValueError("critical_voltage_mv must be less than low_voltage_mv")
        if self.tick_ms > self.lease_ms:
            raise ValueError("tick_ms must not be more than lease_ms")
        if self.latch_ms < self.lease_ms:
            raise ValueError("latch_ms must not be less than lease_ms")
        return self


class HubSettings(Section):
    """The actuator and how power becomes motion."""

    kind: Literal["mock", "ble"] = Field(
        "mock", description="`mock` moves nothing; `ble` is a LEGO hub over Bluetooth Low Energy."
    )
    address: Address | None = Field(
        None,
        examples=["90:84:2B:60:33:70"],
        description="Use only the hub with this Bluetooth address; null takes any.",
    )
    name: Text | None = Field(None, max_length=14, description="Use only the hub with this name; null takes any.")
    connect_timeout_s: float = Field(10.0, gt=0, le=60, description="Time limit of an attempt to connect, in seconds.")
    connect_attempts: int = Field(3, ge=1, le=20, description="Attempts to connect before a pause.")
    retry_initial_s: float = Field(0.5, gt=0, le=60, description="First pause, in seconds; doubles each time.")
    retry_max_s: float = Field(10.0, gt=0, le=300, description="Longest pause, in seconds.")
    keep_alive_ms: int = Field(
        200, ge=50, le=1000, description="While the train moves, write to the hub at least this often, in ms."
    )
    write_timeout_ms: int = Field(
        120, ge=20, le=2000, description="A write that takes longer than this, in ms, has failed."
    )
    may_power_cycle: bool = Field(
        True,
        description="Switch the Bluetooth adapter off and on to stop a train whose hub does not answer, where nothing "
        "else uses the adapter: 0.02 s instead of the 2.4 s of a disconnect.",
    )
    max_power_percent: PositivePercent = Field(100, description="Upper limit of motor power, in percent.")
    min_power_percent: Percent = Field(
        25, description="The motor does not turn below this power (dead band), in percent; less is raised to it."
    )
    ramp_percent_per_s: float = Field(
        150.0, gt=0, le=10000, description="How fast power rises or falls, in percent per second; a stop is immediate."
    )
    battery_compensation: bool = Field(True, description="Raise the power as the battery voltage drops.")
    nominal_voltage_mv: int = Field(
        8400, ge=3000, le=12000, description="Battery voltage, in mV, at which no compensation is needed."
    )
    light_percent: Percent = Field(100, description="Brightness of the headlight when it is on, in percent.")

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.min_power_percent >= self.max_power_percent:
            raise ValueError("min_power_percent must be less than max_power_percent")
        if self.retry_max_s < self.retry_initial_s:
            raise ValueError("retry_max_s must not be less than retry_initial_s")
        return self
