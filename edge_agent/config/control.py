"""Settings of the control path: train, capture, simulator, detector, policy, guard and hub.

Knows names, units, ranges and defaults. Knows nothing of files, the environment or what reads a setting.
"""

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
        description="Names the train in topics, events and logs: small letters, digits and hyphens, at most 63.",
    )
    name: Text = Field("Train 1", max_length=80, description="What people call the train.")


class CaptureSettings(Section):
    """Where pictures come from and how often."""

    source: Text = Field(
        "sim",
        description="`sim`, a camera (`0`, `/dev/video0`), a stream (`rtsp://...`), a video or a folder of images.",
    )
    fps: float = Field(10.0, gt=0, le=60, description="Frames a second that are taken from the source.")
    width: int = Field(600, ge=32, le=4096, description="Width in pixels to which each frame is resized.")
    height: int = Field(400, ge=32, le=4096, description="Height in pixels to which each frame is resized.")
    realtime: bool = Field(
        True, description="Pace files and folders at `fps`; false reads them as fast as the detector allows."
    )
    max_age_ms: int = Field(
        300, ge=20, le=5000, description="A frame older than this, in ms, is not given to the detector any more."
    )
    open_timeout_s: float = Field(
        10.0, gt=0, le=60, description="How long opening the source may take, in seconds, before it counts as failed."
    )
    stall_timeout_ms: int = Field(
        2000, ge=200, le=60000, description="A live source without a new picture for this long, in ms, is opened anew."
    )
    retry_initial_s: float = Field(
        0.5, gt=0, le=60, description="Wait before a lost camera is first opened again, in seconds; doubles each time."
    )
    retry_max_s: float = Field(10.0, gt=0, le=300, description="Longest wait between two attempts, in seconds.")
    retry_for_s: float | None = Field(
        60.0, gt=0, description="Give up on a lost camera after this many seconds and end the run; null tries for ever."
    )

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.retry_max_s < self.retry_initial_s:
            raise ValueError("retry_max_s must not be less than retry_initial_s")
        return self


class SimSettings(Section):
    """The simulated world behind `capture.source: sim`."""

    seed: int = Field(1, ge=0, le=2**32 - 1, description="Chooses textures, background, light and noise.")
    layout: Path | None = Field(None, description="A track with signs as YAML; null invents one from the seed.")
    battery_percent: PositivePercent = Field(90, description="Charge of the simulated battery at the start.")
    time_limit_s: float = Field(
        90.0, gt=0, le=86400, description="Ends the mission on an invented track after so many seconds."
    )


class DetectorSettings(Section):
    """What looks for signs in the frames."""

    backend: Literal["auto", "onnxruntime", "tensorrt", "none"] = Field(
        "auto",
        description="`auto` starts on ONNX Runtime and moves to TensorRT where that works; `none` sees nothing and "
        "never brakes for a sign.",
    )
    model: Path | None = Field(
        None,
        description="An ONNX file of the YOLO family, or its TensorRT engine; null takes what ships in engines/.",
    )
    precision: Literal["auto", "fp16", "int8", "fp32"] = Field(
        "auto",
        description="The numbers of a TensorRT engine; `auto` takes fp16 where the model has such a file, else fp32.",
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="Least score of a detection; null takes the one in the model's manifest."
    )
    iou: float = Field(0.5, gt=0, lt=1, description="Boxes that overlap more than this are one sign (NMS).")
    threads: int = Field(
        0, ge=0, le=64, description="CPU threads of one inference; 0 takes two, or one where there is one core."
    )
    max_detections: int = Field(50, ge=1, le=1000, description="At most this many detections a frame, best first.")


class PolicySettings(Section):
    """How detections become decisions; what each sign asks for stands in the sign rules (signs.yaml)."""

    rules: Path | None = Field(None, description="The sign rules; null takes the signs.yaml that ships.")
    cruise_power_percent: PositivePercent = Field(60, description="Motor power where no sign asks for anything.")
    track_iou: float = Field(
        0.2, ge=0, lt=1, description="Boxes of one label that overlap at least this much in two frames are one sign."
    )
    ignore_above_percent: float = Field(
        20.0,
        ge=0,
        le=90,
        description="Boxes whose middle lies in this upper part of the frame, in percent of its height, are no signs: "
        "the camera rides above the signs' heads, so only what stands in the room is up there.",
    )
    track_lost_ms: int = Field(
        500, ge=50, le=10000, description="A sign that was not seen for this long, in ms, has left the view."
    )


class GuardSettings(Section):
    """What the train may do: leases and limits of the fail-safe rules."""

    lease_ms: int = Field(300, ge=50, le=2000, description="No fresh prediction for this long, in ms, brakes.")
    latch_ms: int = Field(
        2000, ge=50, le=60000, description="No fresh prediction for this long, in ms, keeps it braked until re-armed."
    )
    stop_time_ms: int = Field(
        700, ge=0, le=10000, description="A braked train is taken to be still rolling for this long, in ms."
    )
    tick_ms: int = Field(50, ge=5, le=200, description="The guard looks at everything this often, in ms.")
    arm: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Arm at the start: `auto` only with a mocked or emulated hub, `never` waits for the operator.",
    )
    start_timeout_s: float = Field(
        30.0, gt=0, le=600, description="Camera, detector and hub must be healthy within this time, in seconds."
    )
    exit_timeout_s: float = Field(
        5.0, gt=0, le=60, description="After SIGTERM the process is gone within this time, in seconds, come what may."
    )
    loop_stall_ms: int = Field(
        200, ge=50, le=2000, description="An event loop that stands still for this long, in ms, is braked from outside."
    )
    low_voltage_mv: int = Field(
        6800, ge=3000, le=12000, description="Below this battery voltage, in mV, the agent warns."
    )
    critical_voltage_mv: int = Field(
        6000, ge=3000, le=12000, description="Below this battery voltage, in mV, the train stops."
    )
    min_free_disk_mb: int = Field(
        50, ge=0, le=100000, description="With less free space in the state folder, in MB, the train is not armed anew."
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

    kind: Literal["mock", "ble"] = Field("mock", description="`mock` moves nothing real; `ble` is a LEGO hub.")
    address: Address | None = Field(
        None, examples=["90:84:2B:60:33:70"], description="Only the hub with this Bluetooth address; null takes any."
    )
    name: Text | None = Field(None, max_length=14, description="Only the hub with this name; null takes any.")
    connect_timeout_s: float = Field(10.0, gt=0, le=60, description="Time limit of one attempt to connect, in seconds.")
    connect_attempts: int = Field(3, ge=1, le=20, description="Attempts in a row before a pause.")
    retry_initial_s: float = Field(0.5, gt=0, le=60, description="First pause, in seconds; doubles each time.")
    retry_max_s: float = Field(10.0, gt=0, le=300, description="Longest pause, in seconds.")
    keep_alive_ms: int = Field(
        200, ge=50, le=1000, description="While the train moves, something is written at least this often, in ms."
    )
    write_timeout_ms: int = Field(
        120, ge=20, le=2000, description="A write that has not returned after this long, in ms, has failed."
    )
    max_power_percent: PositivePercent = Field(100, description="Never more motor power than this.")
    min_power_percent: Percent = Field(
        25, description="Below this the motor does not turn (its dead band); less power than this is raised to it."
    )
    ramp_percent_per_s: float = Field(
        150.0, gt=0, le=10000, description="How fast power rises or falls, in percent a second; a stop ignores it."
    )
    battery_compensation: bool = Field(True, description="Raise the power as the battery's voltage sags.")
    nominal_voltage_mv: int = Field(
        8400, ge=3000, le=12000, description="The battery voltage, in mV, at which no compensation is needed."
    )
    light_percent: Percent = Field(100, description="Brightness of the head light when it is on.")

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.min_power_percent >= self.max_power_percent:
            raise ValueError("min_power_percent must be less than max_power_percent")
        if self.retry_max_s < self.retry_initial_s:
            raise ValueError("retry_max_s must not be less than retry_initial_s")
        return self
