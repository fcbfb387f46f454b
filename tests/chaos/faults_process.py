"""Faults of the process itself, and a missing or damaged model."""

import json
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge_agent.events import CommandKind
from edge_agent.runtime import resources

from .process_rig import TIMEOUT_S, Agent, Manager, ProcessRig, hub_brake, limits, process_rig
from .trial import PHASE_S, Trial

OVERTAKEN_S = 0.05
"""A write that was overtaken by the watchdog's brake reaches the hub within this time."""

REST_S = 1.0
"""How long a train that must not move is observed."""


@contextmanager
def _dead_brokers() -> Iterator[dict[str, str]]:
    """Configure an MQTT broker that accepts connections and never answers, and a Kafka cluster that refuses them."""
    with closing(socket.create_server(("127.0.0.1", 0))) as frozen, closing(socket.socket()) as refusing:
        refusing.bind(("127.0.0.1", 0))
        yield {
            "EDGE_AGENT_MQTT__ENABLED": "true",
            "EDGE_AGENT_MQTT__PORT": str(frozen.getsockname()[1]),
            "EDGE_AGENT_KAFKA__ENABLED": "true",
            "EDGE_AGENT_KAFKA__BOOTSTRAP_SERVERS": f'["127.0.0.1:{refusing.getsockname()[1]}"]',
        }


def _terminated(slack: float) -> tuple[float, float]:
    """Return ms from SIGTERM to the brake, and to the end of the process."""
    with process_rig() as rig, _dead_brokers() as brokers, Agent(rig, **limits(slack), **brokers) as agent:
        rig.wait(rig.cruising, "the train drives")
        sent_s = agent.signal(signal.SIGTERM)
        agent.process.wait(TIMEOUT_S)
        ended_s = time.monotonic()
        braked_s = rig.braked_s(sent_s)
        assert braked_s is not None, agent.log_text()
        assert rig.drives(braked_s) == []
        return (braked_s - sent_s) * 1000, (ended_s - sent_s) * 1000


def _killed(slack: float) -> float:
    with process_rig() as rig, Agent(rig, **limits(slack)) as agent:
        rig.wait(rig.cruising, "the train drives")
        sent_s = agent.signal(signal.SIGKILL)
        agent.process.wait()
        hub_brake(rig)
        return _ms(rig, sent_s)


def _started_again(slack: float) -> None:
    """After a kill the train runs on; the next process brakes it and leaves it disarmed, with `guard.arm: always`."""
    with process_rig() as rig:
        rig.detach_simulation()
        with Agent(rig, **limits(slack)) as agent:
            rig.wait(rig.cruising, "the train drives")
            agent.kill()
        killed_s = time.monotonic()
        with Agent(rig, **limits(slack)) as again:
            rig.wait(lambda: rig.braked_s(killed_s), "the next process brakes")
            rig.wait(lambda: _guard_states(again)[-1:] == ["disarmed"], "the guard has started")
            time.sleep(REST_S)
            assert rig.drives(killed_s) == []


def _silenced(number: signal.Signals) -> Callable[[float], float]:
    """Make the process hang on a signal; the manager's watchdog kills it, then ExecStopPost brakes."""

    def try_once(slack: float) -> float:
        with process_rig() as rig, closing(Manager(rig.folder)) as manager:
            environment = limits(slack) | manager.environment
            with Agent(rig, module="tests.chaos.hold_lock", **environment) as agent:
                manager.await_ready()
                sent: list[float] = []

                def send_signal() -> None:
                    if not sent and rig.cruising():
                        sent.append(agent.signal(number))

                manager.await_silence(send_signal)
                assert sent, agent.log_text()
                agent.kill()
                hub_brake(rig)
                return _ms(rig, sent[0])

    return try_once


def _stood_still(slack: float) -> float:
    """Pause the process for a second; return ms from its going on to the brake, after which it stays latched."""
    with process_rig() as rig, Agent(rig, **limits(slack)) as agent:
        rig.wait(rig.cruising, "the train drives")
        time.sleep(random.uniform(0, PHASE_S))  # noqa: S311 - no secret
        agent.signal(signal.SIGSTOP)
        time.sleep(slack)
        resumed_s = agent.signal(signal.SIGCONT)
        rig.wait(lambda: rig.braked_s(resumed_s), "the train brakes")
        time.sleep(REST_S)
        braked_s = rig.braked_s(resumed_s)
        assert braked_s is not None
        assert _guard_states(agent)[-1] == "fault_latched", agent.log_text()
        # A power that was on its way when the watchdog's thread braked may come after it; the loop's own brake follows.
        assert rig.drives(braked_s + OVERTAKEN_S * slack) == [], "driven on after the stop"
        assert rig.motor[-1][1].kind is CommandKind.BRAKE
        return _ms(rig, resumed_s)


def _model(damage: Callable[[Path], None], says: str) -> Callable[[float], None]:
    """Start with a damaged copy of the shipped model."""

    def try_once(slack: float) -> None:
        with process_rig() as rig:
            model = rig.folder / "signs.onnx"
            for name in ("signs.onnx", "signs.json"):
                shutil.copy(resources.engines_dir() / name, rig.folder / name)
            damage(model)
            environment = limits(slack) | {"EDGE_AGENT_DETECTOR__BACKEND": "auto"}
            with Agent(rig, "--model", str(model), **environment) as agent:
                assert agent.process.wait(TIMEOUT_S) == 78, agent.log_text()
                (line,) = [line for line in agent.log_text().splitlines() if line.startswith("edge-agent: ")]
                assert says in line, line
                assert rig.drives() == []

    return try_once


def _flip_a_bit(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def _ms(rig: ProcessRig, since_s: float) -> float:
    # The brake is accepted before the next connection event brings it to the hub.
    rig.wait(lambda: rig.braked_s(since_s), "the hub brakes")
    braked_s = rig.braked_s(since_s)
    assert braked_s is not None
    return (braked_s - since_s) * 1000


def _guard_states(agent: Agent) -> list[str]:
    """Read the guard's states from the log of this and earlier processes, newest last."""
    lines = [json.loads(line) for line in agent.log_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return [line["state"] for line in lines if line.get("event") == "guard"]


TRIALS: tuple[Trial, ...] = (
    Trial("SIGTERM with all brokers dead", "brakes first", 100, lambda slack: _terminated(slack)[0]),
    Trial("the same", "the process ends", 5000, lambda slack: _terminated(slack)[1]),
    Trial("SIGKILL, out of memory", "ExecStopPost brakes", 1000, _killed),
    Trial("a new process after that", "brakes, stays disarmed", None, _started_again),
    Trial("the process stands still for 1 s", "latches; ms since it goes on", 150, _stood_still),
    Trial("SIGSTOP", "the watchdog kills it, ExecStopPost brakes", 3500, _silenced(signal.SIGSTOP)),
    Trial("interpreter's lock held", "the watchdog kills it, ExecStopPost brakes", 3500, _silenced(signal.SIGUSR1)),
    Trial("model missing", "never arms, reports why", None, _model(Path.unlink, "cannot be read")),
    Trial("one bit of the model flipped", "never arms, reports why", None, _model(_flip_a_bit, "signs.onnx")),
)
