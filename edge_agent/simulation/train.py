"""The motion of a toy train: a fixed-step integrator of motor, battery and friction.

Figures marked `chosen` are set so that 60 % power gives 350 to 400 mm/s and 37 % 170 to 200 mm/s on a straight with
fresh batteries, as such a train does with a small computer on board; the others name their source.
"""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

STEP_S = 0.002
"""Length of an integration step; the shortest time constant is 0.3 s."""


class MotorMode(Enum):
    """State of the motor's H-bridge."""

    DRIVE = "drive"
    COAST = "coast"
    BRAKE = "brake"


@dataclass(frozen=True, slots=True)
class TrainModel:
    """Constants of a train. Forces are given as the share of power that balances them at nominal voltage.

    Args:
        mass_kg: locomotive with computer and power bank (chosen).
        stall_force_n: pull at full power and standstill (chosen; gives a time constant of 0.35 s).
        free_speed_mm_s: speed at full power without friction, where back-EMF eats the voltage (chosen).
        breakaway: effective power below which nothing moves, the dead band; users of the hub report 20 to 30 percent.
        rolling: rolling friction (chosen).
        curve: additional friction in a curve (chosen): with weak batteries a slow train sticks there.
        full_v, empty_v: open-circuit voltage at 100 and 0 percent: six AAA cells at 1.5 and 1.0 V.
        nominal_v: voltage at which power has its full effect.
        resistance_ohm: six fresh AAA cells at some 0.08 ohm each.
        stall_current_a, idle_current_a: motor at standstill and full power (chosen), hub alone (chosen).
        capacity_ah: an alkaline AAA cell at half an ampere.
    """

    mass_kg: float = 1.1
    stall_force_n: float = 3.0
    free_speed_mm_s: float = 950.0
    breakaway: float = 0.25
    rolling: float = 0.18
    curve: float = 0.06
    full_v: float = 9.0
    empty_v: float = 6.0
    nominal_v: float = 9.0
    resistance_ohm: float = 0.45
    stall_current_a: float = 1.3
    idle_current_a: float = 0.05
    capacity_ah: float = 0.8


def varied(model: TrainModel, seed: int) -> TrainModel:
    """Return a variation of a train: mass and friction differ by up to 4 percent; seed 0 changes nothing."""
    if seed == 0:
        return model
    mass, rolling, curve = np.random.default_rng([seed, 5]).uniform(0.96, 1.04, 3)
    return replace(
        model,
        mass_kg=model.mass_kg * float(mass),
        rolling=model.rolling * float(rolling),
        curve=model.curve * float(curve),
    )


@dataclass(frozen=True, slots=True)
class TrainMotion:
    """State of a train; `power_percent` is the power as set, -100..100."""

    s_mm: float = 0.0
    speed_mm_s: float = 0.0
    motor: MotorMode = MotorMode.COAST
    power_percent: float = 0.0
    battery_percent: float = 100.0
    current_a: float = 0.05


def terminal_v(model: TrainModel, motion: TrainMotion) -> float:
    """Return the voltage at the hub, which falls with the battery's charge and with the current."""
    charge = max(0.0, motion.battery_percent) / 100
    return model.empty_v + (model.full_v - model.empty_v) * charge - model.resistance_ohm * motion.current_a


def step(model: TrainModel, motion: TrainMotion, curved: bool) -> TrainMotion:
    """Return the motion one STEP_S later."""
    back_emf = motion.speed_mm_s / model.free_speed_mm_s
    push = _push(model, motion, back_emf)
    hold = model.rolling + (model.curve if curved else 0.0)
    speed_mm_s = _speed_after(model, motion.speed_mm_s, push, hold)
    drawn = abs(push) if motion.motor is MotorMode.DRIVE else 0.0
    current_a = model.idle_current_a + model.stall_current_a * drawn
    return TrainMotion(
        s_mm=motion.s_mm + 0.5 * (motion.speed_mm_s + speed_mm_s) * STEP_S,
        speed_mm_s=speed_mm_s,
        motor=motion.motor,
        power_percent=motion.power_percent,
        current_a=current_a,
        battery_percent=max(0.0, motion.battery_percent - 100 * current_a * STEP_S / 3600 / model.capacity_ah),
    )


def _push(model: TrainModel, motion: TrainMotion, back_emf: float) -> float:
    if motion.motor is MotorMode.COAST or motion.battery_percent <= 0:
        return 0.0
    if motion.motor is MotorMode.BRAKE:
        return -back_emf  # short-circuited: only the back-EMF acts, against the motion
    return motion.power_percent / 100 * terminal_v(model, motion) / model.nominal_v - back_emf


def _speed_after(model: TrainModel, speed_mm_s: float, push: float, hold: float) -> float:
    """Apply force and friction over one step; friction stops a train but never reverses it."""
    if speed_mm_s == 0.0:
        breakaway = model.breakaway - model.rolling + hold
        if abs(push) <= breakaway:
            return 0.0
        net = push - hold if push > 0 else push + hold
        return _gain(model, net)
    net = push - hold if speed_mm_s > 0 else push + hold
    after = speed_mm_s + _gain(model, net)
    return 0.0 if after * speed_mm_s <= 0 else after


def _gain(model: TrainModel, net: float) -> float:
    return 1000 * net * model.stall_force_n / model.mass_kg * STEP_S
