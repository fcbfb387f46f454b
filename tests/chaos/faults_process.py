"""Faults of the process itself, and a model that is not what it should be."""

import json
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge_agent.runtime import resources

from .agent import PATIENCE_S, Agent, Manager, Theatre, hub_brake, limits, theatre
from .trial import Trial

REST_S = 1.0
"""For so long a train that must stay is watched."""


@contextmanager
def _dead_brokers() -> Iterator[dict[str, str]]:
    """Configure an MQTT broker that accepts and never answers, and a Kafka cluster that refuses."""
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
    with theatre() as house, _dead_brokers() as brokers, Agent(house, **limits(slack), **brokers) as agent:
        house.wait(house.cruising, "the train drives")
        sent_s = agent.signal(signal.SIGTERM)
        agent.process.wait(PATIENCE_S)
        ended_s = time.monotonic()
        braked_s = house.braked_s(sent_s)
        assert braked_s is not None, agent.said()
        assert house.drives(braked_s) == []
        return (braked_s - sent_s) * 1000, (ended_s - sent_s) * 1000


def _killed(slack: float) -> float:
    with theatre() as house, Agent(house, **limits(slack)) as agent:
        house.wait(house.cruising, "the train drives")
        sent_s = agent.signal(signal.SIGKILL)
        agent.process.wait()
        hub_brake(house)
        return _ms(house, sent_s)


def _started_again(slack: float) -> None:
    """After a kill the train runs on; the next process brakes it and leaves it disarmed."""
    with theatre() as house:
        house.forget_world()
        with Agent(house, **limits(slack)) as agent:
            house.wait(house.cruising, "the train drives")
            agent.kill()
        killed_s = time.monotonic()
        with Agent(house, **limits(slack) | {"EDGE_AGENT_GUARD__ARM": "auto"}) as again:
            house.wait(lambda: house.braked_s(killed_s), "the next process brakes")
            house.wait(lambda: _guard_states(again)[-1:] == ["disarmed"], "the guard has started")
            time.sleep(REST_S)
            assert house.drives(killed_s) == []


def _silenced(number: signal.Signals) -> Callable[[float], float]:
    """Have the process fall silent on a signal; the manager's watchdog kills it, then ExecStopPost brakes."""

    def try_once(slack: float) -> float:
        with theatre() as house, closing(Manager(house.folder)) as manager:
            environment = limits(slack) | manager.environment
            with Agent(house, module="tests.chaos.hold_lock", **environment) as agent:
                manager.await_ready()
                sent: list[float] = []

                def strike() -> None:
                    if not sent and house.cruising():
                        sent.append(agent.signal(number))

                manager.await_silence(strike)
                assert sent, agent.said()
                agent.kill()
                hub_brake(house)
                return _ms(house, sent[0])

    return try_once


def _model(spoil: Callable[[Path], None], says: str) -> Callable[[float], None]:
    """Start with a spoilt copy of the model that ships."""

    def try_once(slack: float) -> None:
        with theatre() as house:
            model = house.folder / "signs.onnx"
            for name in ("signs.onnx", "signs.json"):
                shutil.copy(resources.engines_dir() / name, house.folder / name)
            spoil(model)
            environment = limits(slack) | {"EDGE_AGENT_DETECTOR__BACKEND": "auto"}
            with Agent(house, "--model", str(model), **environment) as agent:
                assert agent.process.wait(PATIENCE_S) == 78, agent.said()
                (line,) = [line for line in agent.said().splitlines() if line.startswith("edge-agent: ")]
                assert says in line, line
                assert house.drives() == []

    return try_once


def _flip_a_bit(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def _ms(house: Theatre, since_s: float) -> float:
    braked_s = house.braked_s(since_s)
    assert braked_s is not None
    return (braked_s - since_s) * 1000


def _guard_states(agent: Agent) -> list[str]:
    """Read the guard's states from the log of this and earlier processes, the newest last."""
    lines = [json.loads(line) for line in agent.said().splitlines() if line.startswith("{") and line.endswith("}")]
    return [line["state"] for line in lines if line.get("event") == "guard"]


TRIALS: tuple[Trial, ...] = (
    Trial("SIGTERM with all brokers dead", "brakes first", 100, lambda slack: _terminated(slack)[0]),
    Trial("the same", "the process ends", 5000, lambda slack: _terminated(slack)[1]),
    Trial("SIGKILL, out of memory", "ExecStopPost brakes", 1000, _killed),
    Trial("a new process after that", "brakes, stays disarmed", None, _started_again),
    Trial("SIGSTOP", "the watchdog kills it, ExecStopPost brakes", 3500, _silenced(signal.SIGSTOP)),
    Trial("interpreter's lock held", "the watchdog kills it, ExecStopPost brakes", 3500, _silenced(signal.SIGUSR1)),
    Trial("model missing", "never arms, says why", None, _model(Path.unlink, "cannot be read")),
    Trial("one bit of the model flipped", "never arms, says why", None, _model(_flip_a_bit, "signs.onnx")),
)
