"""Orders, signs, faults, floods and malformed messages in any order, by every channel: what must hold at any moment.

A state machine of hypothesis over a train on a virtual clock. Each channel hands its messages over with its own code,
from the bytes on. What is submitted while the train's loop stands still comes in the moment of all that came before.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

from aiomqtt import Message
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from pydantic import SecretStr

from edge_agent.agent.console import LocalCommander
from edge_agent.config import KafkaSettings
from edge_agent.config.rules import AfterHold
from edge_agent.console.access import Caller
from edge_agent.console.commands import _parse
from edge_agent.console.responses import ApiError
from edge_agent.control import policy
from edge_agent.control.commands import STOPPING, Verb, handler
from edge_agent.events import Action, CommandResult, GuardState, Prediction, TrainState
from edge_agent.hub.mock import MockWrite
from edge_agent.observers.cloudevents import OrderData, kafka, write_command
from edge_agent.observers.kafka.commands import KafkaCommandConsumer, capture_messages, own_messages
from edge_agent.observers.mqtt.commands import CommandQueue, MqttCommands
from edge_agent.simulation.clock import VirtualTimeLoop
from tests.support.ordered_train import BEGAN_UNIX_S, SIGNS, WRITE_S, OrderedTrain

STOP_S = 0.150
"""A stop that was accepted reaches the motor within this time."""

# The lease, a tick of the guard and a write.
BLIND_S = 0.3 + 0.05 + WRITE_S + 1e-6
REPEAT_S = 0.1 + WRITE_S
ROOT = "edge-agent/train"
VERBS = tuple(verb for verb in Verb if verb is not Verb.IMAGE)
CALM = (Verb.ARM, Verb.DRIVE, Verb.REARM)
STOPS = frozenset({Verb.STOP, Verb.DISARM, Verb.EMERGENCY_STOP})


@dataclass
class Judge:
    """Compares what the motor gets with what was accepted; raises AssertionError on the first write that must not be.

    `came_after` is how many stops had come before each command, by its id.
    """

    train: OrderedTrain

    def __post_init__(self) -> None:
        self.came_after: dict[str, int] = {}
        self.stops = 0
        self.stood_since_s: float | None = 0.0
        self.capture_stopped_s: float | None = None
        self.armed = self.driven = self.held = False
        self.guard = self.train.state
        self.left_latch_s: float | None = None
        self.failed_s = -1.0
        self.seen_actions = 0
        self.broken: AssertionError | None = None
        self.seen: Counter[tuple[str, str]] = Counter()
        self.train.watch = self.watch
        self._write = self.train.hub._write
        self.train.hub._write = self._noting_failures  # type: ignore[method-assign]

    @property
    def now_s(self) -> float:
        """The train's time."""
        return self.train.loop.time()

    @property
    def excused(self) -> bool:
        """Whether the hub does not take writes, or has refused one just now: a brake is repeated."""
        hub = self.train.hub
        return not hub.status().connected or hub._failures > 0 or self.now_s - self.failed_s < REPEAT_S

    async def _noting_failures(self, kind: str, value: int | str) -> None:
        try:
            await self._write(kind, value)
        except Exception:
            self.failed_s = self.now_s
            raise

    def watch(self, happened: MockWrite | TrainState | CommandResult | Prediction) -> None:
        """Check one write, state, result or picture as it happens; `broken` keeps the first error."""
        try:
            self._check(happened)
        except AssertionError as error:
            self.broken = self.broken or error

    def _check(self, happened: MockWrite | TrainState | CommandResult | Prediction) -> None:
        if isinstance(happened, Prediction):
            self.check_blind()
        elif isinstance(happened, CommandResult):
            self.on_result(happened)
        elif isinstance(happened, TrainState):
            self.on_state(happened)
        elif happened.kind == "drive":
            self.on_drive()

    def on_result(self, result: CommandResult) -> None:
        """Note what was accepted."""
        self.seen[result.channel, result.code or "accepted"] += 1
        if not result.accepted:
            return
        verb = Verb(result.verb)
        if verb in STOPPING:
            at_s = self.now_s
            self.train.loop.call_later(STOP_S, self._check_stopped, at_s)
            if verb is Verb.CAPTURE_STOP:
                self.capture_stopped_s = at_s
            else:
                self.stood_since_s = at_s
            return
        came_after = self.came_after.get(result.command_id or "", self.stops)
        assert came_after == self.stops, f"{verb} came before a stop and was executed after it"
        match verb:
            case Verb.CAPTURE_START:
                self.capture_stopped_s = None
            case Verb.ARM:
                self.armed = True
            case Verb.REARM:
                assert self.left_latch_s == self.now_s, "a re-arm was accepted and the latch stays"
                self.left_latch_s = None
            case Verb.DRIVE:
                self.stood_since_s, self.driven, self.held = None, True, False

    def on_state(self, state: TrainState) -> None:
        """Check a transition of the guard and the permit that came of it."""
        before, self.guard = self.guard, state.guard
        self.seen["guard", state.guard] += 1
        if before is GuardState.FAULT_LATCHED is not state.guard:
            self.left_latch_s = self.now_s
            trouble = (self.train.hub.status().alerts, self.train.integrity)
            assert not any(trouble), f"the latch was left while its cause lasts: {trouble}"
        if state.guard in (GuardState.DISARMED, GuardState.INIT):
            self.armed = self.driven = False
        self._note_signs()
        permit = self.train.control.permit
        if permit.power_percent is None:
            return
        train, status = self.train, self.train.hub.status()
        assert state.guard is GuardState.RUNNING
        assert status.connected
        assert not status.alerts
        assert not train.integrity
        wanted = policy.evaluate(train.control._signs, self.now_s, train.control._parameters.tuning).power_percent
        assert wanted is not None
        assert permit.power_percent <= wanted

    def on_drive(self) -> None:
        """Check a write of a power to the motor."""
        self._note_signs()
        self.seen["motor", "drive"] += 1
        assert self.armed, "the train drives and was not armed"
        assert self.driven, "the train drives without an order to drive"
        assert not self.held, "the train drives on after a sign that stops it for good"
        assert self.stood_since_s is None, f"the train drives after a stop at {self.stood_since_s}"
        assert self.capture_stopped_s is None, "the train drives while capturing is stopped"
        self.check_blind()

    def check_blind(self) -> None:
        """Check that a moving train has seen something fresh; called before each new picture counts."""
        age_s = self.now_s - self.train.seen_s
        assert not self.train.moves or self.excused or age_s <= BLIND_S, f"the train is blind for {age_s:.3f} s"

    def check_rest(self) -> None:
        """Check what must hold whenever the loop stands still."""
        if self.broken is not None:
            raise self.broken
        self.check_blind()
        assert self.left_latch_s is None, "the latch was left without a re-arm"

    def _check_stopped(self, stopped_s: float) -> None:
        wants_stop = stopped_s in (self.stood_since_s, self.capture_stopped_s)
        if wants_stop and self.train.moves and not self.excused:
            self.broken = self.broken or AssertionError(f"the stop at {stopped_s} is late")

    def _note_signs(self) -> None:
        stats = self.train.stats
        for action in list(stats.actions)[len(stats.actions) - (stats.actions_total - self.seen_actions) :]:
            stays = action.sign is not None and SIGNS[action.sign].then is AfterHold.STAY
            self.held = self.held or (action.action is Action.STOP and stays)
        self.seen_actions = stats.actions_total


# How a body may differ from one that is in order; the first is, and a choice of hypothesis tends to it.
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"token": "guess"},
    {"token": None},
    {"issued_at": 1.0},
    {"issued_at": "yesterday"},
    {"issued_at": float("inf")},
    {"id": "the same"},
    {"id": None},
    {"power_percent": "fast"},
    {"reason": ""},
)
RUBBISH = (b"", b"null", b"{", b"\xff\xfe", b"[" * 5000, b'{"verb": 7}', b'{"id": {}}', b"on", b"off", b"stop")
ORIGINALS = {Verb.CAPTURE_START: b'{"command": "start"}', Verb.CAPTURE_STOP: b'{"command": "stop"}'}
channels = st.sampled_from(("mqtt", "kafka", "console", "original"))
verbs = st.sampled_from((*CALM, *CALM, *CALM, *VERBS))
changes = st.sampled_from((*[{}] * 10, *CHANGES))


class OrderMachine(RuleBasedStateMachine):
    """The rules by which hypothesis tries a train; each is one step."""

    steps = 0
    seen: ClassVar[Counter[tuple[str, str]]] = Counter()

    @initialize(hold=st.booleans())
    def start(self, hold: bool) -> None:
        """Make the train and its channels; without `hold` there is no pause after a stop, only the sequence counts."""
        self.train = OrderedTrain()
        self.train.rules = self.train.rules if hold else replace(self.train.rules, hold_s=0.0)
        self.judge = Judge(self.train)
        self.console_loop, self.mqtt_loop = VirtualTimeLoop(), VirtualTimeLoop()
        self.threads: list[tuple[asyncio.Future[None], Callable[[], object]]] = []
        self.patch = mock.patch.object(handler, "in_daemon_thread", self._in_thread)
        self.patch.start()
        self.console = LocalCommander(self.train.handler)
        self.mqtt = MqttCommands(
            self.train.handler, ROOT, reply=lambda *reply: None, send_images_for=lambda duration_s: None
        )
        clock, flood = self.train.loop.time, lambda: None
        self.queue = CommandQueue(self.mqtt.read, lambda count: None, flood, clock=clock)
        wall = self._wall
        self.kafka = {
            name: KafkaCommandConsumer(
                KafkaSettings(), train_id="train", topic=name, read=read, commands=self.train.handler
            )
            for name, read in (("kafka", own_messages("train")), ("original", capture_messages(wall)))
        }

    def teardown(self) -> None:
        """Let everything come to its end."""
        if not hasattr(self, "train"):
            return
        try:
            self.run_threads()
            self.pass_time(1.0)
        finally:
            self.patch.stop()
            for task in asyncio.all_tasks(self.console_loop):
                task.cancel()
            self._pump()
            self.console_loop.close()
            self.mqtt_loop.close()
            self.train.close()
            OrderMachine.seen.update(self.judge.seen)

    # --- orders ---

    @rule(channel=channels, verb=verbs, changes=changes)
    def send(self, channel: str, verb: Verb, changes: dict[str, Any]) -> None:
        """Send one command."""
        self._send(channel, [(verb, self._body(**changes))])

    @rule(channel=channels, batch=st.lists(verbs, min_size=2, max_size=40))
    def flood(self, channel: str, batch: list[Verb]) -> None:
        """Send many commands at once."""
        self._send(channel, [(verb, self._body()) for verb in batch])

    @rule(channel=channels, verb=verbs, raw=st.sampled_from(RUBBISH) | st.binary(max_size=20))
    def rubbish(self, channel: str, verb: Verb, raw: bytes) -> None:
        """Send what cannot be read; a stop is obeyed all the same, except that the console has its verb in it."""
        self._send(channel, [(verb, raw)])

    @rule(channel=channels, other=channels, verb=st.sampled_from(CALM), stop=st.sampled_from(sorted(STOPPING)))
    def stop_meanwhile(self, channel: str, other: str, verb: Verb, stop: Verb) -> None:
        """Send a command, and a stop by another channel while its token is read."""

        def meanwhile() -> None:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(self._send, other, [(stop, self._body())]).result()

        self.train.meanwhile = meanwhile
        self._send(channel, [(verb, self._body())])
        self.run_threads()
        self.train.meanwhile = lambda: None

    @rule(waits_s=st.sampled_from((0.0, 1.1)), runs_s=st.sampled_from((0.02, 0.5)))
    def drive(self, waits_s: float, runs_s: float) -> None:
        """Bring the train to drive, as far as it may: what everything else then happens to."""
        self.pass_time(waits_s)
        for verb in (Verb.CAPTURE_START, Verb.REARM, Verb.ARM, Verb.DRIVE):
            self._send("mqtt", [(verb, self._body())])
            self.pass_time(0.001)
        self.pass_time(runs_s)

    @rule(label=st.sampled_from(("danger", "no_entry", "stop")), channel=channels, waits_s=st.sampled_from((0.0, 1.0)))
    def drive_at_a_sign(self, label: str, channel: str, waits_s: float) -> None:
        """Order a train to drive that a sign has just stopped, or that stands there."""
        self.show_sign(label)
        self.pass_time(waits_s)
        self._send(channel, [(Verb.DRIVE, self._body())])
        self.run_threads()
        self.pass_time(1.0)

    @rule()
    def run_threads(self) -> None:
        """Let the threads go on in which the console reads its token."""
        while self.threads:
            done, work = self.threads.pop(0)
            work()
            done.set_result(None)
        self._pump()
        self.steps_done()

    # --- the world ---

    @rule(seconds=st.sampled_from((0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.3, 0.7, 1.0, 1.0, 3.0, 12.0)))
    def pass_time(self, seconds: float) -> None:
        """Let the train go on."""
        self.train.advance(seconds)
        self._pump()
        self.judge.check_rest()
        self.steps_done()

    @rule(label=st.sampled_from((*SIGNS, "giraffe")))
    def show_sign(self, label: str) -> None:
        """Show a sign for long enough to be confirmed, then none."""
        self.train.signs = (label,)
        self.pass_time(0.7)
        self.train.signs = ()

    @rule(camera=st.booleans())
    def unplug_camera(self, camera: bool) -> None:
        """Take or give the pictures."""
        self.train.camera = camera

    @rule(
        fault=st.sampled_from(("link", "link", "link", "alert", "button", "integrity", "stall", "disk", "write")),
        lasts_s=st.sampled_from((0.0, 0.05, 1.0)),
    )
    def fail(self, fault: str, lasts_s: float) -> None:
        """Inject a fault for a while."""
        train, hub = self.train, self.train.hub
        train.call(self._inject(fault))
        self.pass_time(lasts_s)
        train.integrity = train.storage = ""
        hub._status = replace(hub._status, alerts=frozenset())
        if not hub.status().connected:
            hub.fail_next(0)
            train.call(hub.reconnect())

    async def _inject(self, fault: str) -> None:
        train, hub = self.train, self.train.hub
        match fault:
            case "link":
                hub.drop_link()
            case "alert":
                hub.raise_alert("high_current")
            case "button":
                hub.press_button()
            case "integrity":
                train.integrity = "the model was changed"
            case "stall":
                train.stalls += 1
            case "disk":
                train.storage = "3 MB are free"
            case _:
                hub.fail_next(1)

    # --- the channels ---

    def _body(self, **changes: Any) -> dict[str, Any]:
        return self.train.body(**{"power_percent": 45, **changes})

    def _send(self, channel: str, commands: list[tuple[Verb, dict[str, Any] | bytes]]) -> None:
        """Hand messages over as the channel does, from the bytes on."""
        raw = [(verb, body if isinstance(body, bytes) else json.dumps(body).encode()) for verb, body in commands]
        getattr(self, f"_by_{channel}")(raw)
        self.steps_done(len(raw))

    def _by_mqtt(self, commands: list[tuple[Verb, bytes]]) -> None:
        for verb, raw in commands:
            name, payload = verb.value, raw
            if verb in (Verb.CAPTURE_START, Verb.CAPTURE_STOP):
                name, _, value = name.partition("_")
                payload = json.dumps({**_document(raw), "value": value}).encode()
            self._arrive((verb, raw))
            self.queue.put_nowait(Message(f"{ROOT}/{name}/set", payload, 1, False, 1, None))

        async def work() -> None:
            while not self.queue.empty():
                self.mqtt.handle(self.queue.get_nowait())

        if not self.mqtt_loop.is_running():  # else it goes on with what has come meanwhile
            self.mqtt_loop.run_until_complete(work())

    def _by_kafka(self, commands: list[tuple[Verb, bytes]]) -> None:
        records = []
        for verb, raw in commands:
            event = write_command("train", verb, OrderData("event", "2026-11-21T18:20:00Z"), source="/me")
            headers, _ = kafka.binary(event)
            records.append(self._record(b"train", headers, raw))
        self._consume("kafka", records, commands)

    def _by_original(self, commands: list[tuple[Verb, bytes]]) -> None:
        records, known = [], []
        for verb, raw in commands:
            records.append(self._record(None, (), ORIGINALS.get(verb, raw)))
            known.append((verb if verb in ORIGINALS else Verb.IMAGE, b""))
        self._consume("original", records, known)

    def _consume(self, consumer: str, records: list[Any], commands: list[tuple[Verb, bytes]]) -> None:
        self._arrive(*commands)
        # Its window is in real time, which has nothing to do with the train's.
        self.kafka[consumer]._window_s = -math.inf
        self.kafka[consumer]._submit(records)

    def _by_console(self, commands: list[tuple[Verb, bytes]]) -> None:
        for verb, raw in commands:
            document = _document(raw)
            caller = Caller("ada", SecretStr(str(_document(raw).get("token"))))
            try:
                command = _parse(json.dumps({**document, "verb": verb}).encode(), caller)
            except ApiError:
                continue
            self._arrive((verb, raw))
            self.console_loop.create_task(self.console.send("train", command))
            self._pump()

    def _arrive(self, *commands: tuple[Verb, bytes]) -> None:
        """Note after how many stops commands come that come at once; the stops among them count for what comes next."""
        for _, raw in commands:
            self.judge.came_after[str(_document(raw).get("id"))] = self.judge.stops
        self.judge.stops += sum(verb in STOPPING for verb, _ in commands)

    async def _in_thread(self, work: Callable[[], object], _name: str) -> None:
        done = asyncio.get_running_loop().create_future()
        self.threads.append((done, work))
        await done

    def _pump(self) -> None:
        for _ in range(4):
            self.console_loop.run_until_complete(asyncio.sleep(0))

    def _record(self, key: bytes | None, headers: Any, value: bytes) -> Any:
        at_ms, place = 1000 * self._wall(), {"topic": "t", "partition": 0, "offset": 0}
        return SimpleNamespace(**place, key=key, headers=tuple(headers), value=value, timestamp=at_ms)

    def _wall(self) -> float:
        return BEGAN_UNIX_S + self.train.loop.time()

    def steps_done(self, count: int = 1) -> None:
        """Count steps."""
        OrderMachine.steps += count


def _document(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
