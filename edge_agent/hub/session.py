"""Session of one link to a City Hub: first brake, initial requests, and every message until the link is lost."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import structlog

from edge_agent.errors import RetryableError
from edge_agent.events import HubStatus
from edge_agent.hub import lwp3
from edge_agent.hub.connection import Farewell, HubConnection
from edge_agent.hub.emergency import PORTS
from edge_agent.hub.errors import no_motor
from edge_agent.hub.motor import LinkWriter, MotorWriter, StillWanted, always_wanted
from edge_agent.hub.recording import Direction, HubLog
from edge_agent.ports import HubEvent

_log = structlog.get_logger(__name__)

MOTOR_LIMIT_S = 3.0
"""How long to wait for a motor; a hub announces its devices right after notifications are switched on."""

SETTLED_S = 1.0
"""Feedback on the first brakes may come after the port that they went to was announced."""

ANSWERS = 20
"""How many answers tell how quick the hub is: two seconds of driving."""

_DISCONNECT_REASONS = {
    lwp3.HubActionType.WILL_SWITCH_OFF: "the hub switches itself off",
    lwp3.HubActionType.WILL_DISCONNECT: "the hub disconnects",
    lwp3.HubActionType.WILL_ENTER_BOOT_MODE: "the hub restarts",
}


class HubSession:
    """Messages of one link, and the model of the hub.

    Args:
        keep_alive_s: while moving, the longest time between two writes.
        write_limit_s: time limit of one attempt to write.
        emit: called with each button press and alert.
        on_problem: called when the hub has no motor; the session keeps waiting for one.
        log: records bytes in both directions.
        motor_port: port of the motor on the last link, for the first brake.
    """

    def __init__(
        self,
        connection: HubConnection,
        *,
        keep_alive_s: float,
        write_limit_s: float,
        emit: Callable[[HubEvent], None],
        on_problem: Callable[[RetryableError], None],
        log: HubLog | None = None,
        motor_port: int | None = None,
    ) -> None:
        self.connection = connection
        self.model = lwp3.HubModel()
        self.decoder = lwp3.Decoder()
        self.ready = False
        self._emit, self._on_problem, self._log = emit, on_problem, log
        self._writer = LinkWriter(connection.send, write_limit_s, connection.drop)
        self._initial_ports = PORTS if motor_port is None else (motor_port,)
        self.motor = MotorWriter(self._write, lambda: self.model.motor_port, self._initial_ports, keep_alive_s)
        # Since when the hub has owed any feedback, and the confirmation of a brake; None where it owes none.
        self._unanswered_s: float | None = None
        self._unconfirmed_s: float | None = None
        self._answers_s: deque[float] = deque(maxlen=ANSWERS)
        self._opened_s = math.inf
        self._refused: set[tuple[int, int]] = set()
        self._motor_known = asyncio.Event()
        self._send_queue: asyncio.Queue[lwp3.Message] = asyncio.Queue()

    async def run(self, on_open: Callable[[], None], on_close: Callable[[], None]) -> None:
        """Open the session, call `on_open`, and run until the link is lost; then call `on_close`.

        Returns when the link is lost (`connection.reason` says why); raises RetryableError if it could not be opened.
        """
        lost = asyncio.create_task(self.connection.lost.wait(), name="hub-lost")
        opening = asyncio.create_task(self._open(on_open), name="hub-opening")
        sending = asyncio.create_task(self._send_queued(), name="hub-sending")
        keep_alive = asyncio.create_task(self.motor.keep_alive(), name="hub-keep-alive")
        try:
            await asyncio.wait({opening, lost}, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
                await lost
        finally:
            # Report the loss before cleaning up: cancelling a stuck write may take a while.
            if self.ready:
                self.ready = False
                on_close()
            self._writer.close()
            tasks = (lost, opening, sending, keep_alive)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def status(self) -> HubStatus:
        """Return the state of hub and link."""
        status = self.model.status(connected=self.ready and not self.connection.lost.is_set())
        owed = [since_s for since_s in (self._unanswered_s, self._unconfirmed_s) if since_s is not None]
        return replace(status, unanswered_s=min(owed, default=None), answer_s=min(self._answers_s, default=0.0))

    def farewell(self) -> Farewell:
        """Return how to stop the motor before the link is dropped; its brakes count as written."""
        braked_s, brakes = self.motor.braked_s, self.motor.brakes()
        for message in brakes:
            self._note_written(message)
        return Farewell(
            tuple(map(lwp3.encode, brakes)),
            self._is_stopped,
            braked_s,
        )

    def _is_stopped(self) -> bool:
        """Return whether the hub has confirmed a brake, or nothing can move: no power was written, no motor is on."""
        return self.model.brake_confirmed or not self.motor.has_driven or self.model.motor_port is None

    async def light(self, brightness_percent: int) -> None:
        """Set the head light; a hub without one ignores it."""
        if self.model.light_port is not None:
            await self._write(lwp3.light(self.model.light_port, brightness_percent))

    async def show(self, colour: lwp3.Colour) -> None:
        """Set the hub's own light; a hub without one ignores it."""
        if self.model.rgb_port is not None:
            await self._write(lwp3.show_colour(self.model.rgb_port, colour))

    async def send(self, message: lwp3.Message) -> None:
        """Write a message."""
        await self._write(message)

    async def _open(self, on_open: Callable[[], None]) -> None:
        """Brake, switch on notifications, send the initial requests and wait for the motor."""
        # The train may be moving: brake before anything that takes time.
        await self.motor.hold()
        await self.connection.start_notify(self._on_notification)
        for message in lwp3.initial_requests():
            await self._write(message)
        await self._wait_for_motor()
        # The motor is on a port that the first brake did not reach.
        if self.model.motor_port not in self._initial_ports:
            await self.motor.hold()
        # A light takes the first brake for a brightness.
        if self.model.light_port in self._initial_ports:
            await self.light(0)
        self.ready = True
        self._opened_s = asyncio.get_running_loop().time()
        on_open()

    async def _wait_for_motor(self) -> None:
        """Wait until a motor is announced, however long that takes; report once that it takes too long."""
        try:
            async with asyncio.timeout(MOTOR_LIMIT_S):
                await self._motor_known.wait()
        except TimeoutError:
            # A hub that announces nothing, not even its own light, is on a link that we took over: reconnect.
            if not self.model.ports:
                self.connection.drop("the hub does not announce its devices")
            else:
                self._on_problem(no_motor())
            await self._motor_known.wait()

    async def _send_queued(self) -> None:
        while True:
            await self._write(await self._send_queue.get())

    async def _write(self, message: lwp3.Message, still_wanted: StillWanted = always_wanted) -> None:
        is_brake = isinstance(message, lwp3.OutputCommand) and message.is_brake
        # Before the write: the hub's feedback may arrive while it is in progress.
        self._note_written(message)
        await self._writer.write(lwp3.encode(message), still_wanted, overtakes=is_brake)

    def _note_written(self, message: lwp3.Message) -> None:
        now_s = asyncio.get_running_loop().time()
        self.model = self.model.with_command(message, now_s)
        if isinstance(message, lwp3.OutputCommand) and message.port == self.model.motor_port:
            self._note_owed(now_s, is_brake=message.is_brake)
        if self._log is not None:
            self._log.add(Direction.SENT, lwp3.encode(message))

    def _note_owed(self, now_s: float, *, is_brake: bool) -> None:
        """Note what the hub owes after a write to its motor."""
        if self._unanswered_s is None:
            self._unanswered_s = now_s
        if not is_brake:
            self._unconfirmed_s = None
        elif self._unconfirmed_s is None and not self.model.brake_confirmed:
            self._unconfirmed_s = now_s

    def _note_answer(self, message: lwp3.Message | lwp3.Malformed) -> None:
        """Note what the hub no longer owes; `model` is still the one before its message."""
        port = self.model.motor_port
        refused = isinstance(message, lwp3.GenericError) and message.command == lwp3.MessageType.PORT_OUTPUT_COMMAND
        answered = isinstance(message, lwp3.OutputFeedback) and any(entry.port == port for entry in message.ports)
        if not (refused or answered) or port is None:
            return
        # Not any message: a hub whose motor has locked up may go on sending what its sensors measure.
        self._unanswered_s = None
        waiting = self.model.output(port).open
        if waiting:
            self._answers_s.append(asyncio.get_running_loop().time() - waiting[0].written_s)

    def _on_notification(self, data: bytes) -> None:
        if self._log is not None:
            self._log.add(Direction.RECEIVED, data)
        message = self.decoder.feed(data)
        self._note_answer(message)
        before, self.model = self.model, self.model.with_notification(message)
        if self.model.brake_confirmed:
            self._unconfirmed_s = None
        if isinstance(message, lwp3.PortAttached):
            # bleak calls this in the event loop, where it must not wait: a task writes the requests.
            for request in lwp3.port_setup(message):
                self._send_queue.put_nowait(request)
        self._react(before, message)

    def _react_to_motor(self, before: lwp3.HubModel, message: lwp3.Message | lwp3.Malformed) -> None:
        """Tell what the hub refuses, and what somebody else drives."""
        if isinstance(message, lwp3.GenericError):
            self._tell_refusal(message)
        port = before.motor_port
        if not isinstance(message, lwp3.OutputFeedback) or port is None:
            return
        if self.model.output(port).discarded > before.output(port).discarded:
            self._emit(HubEvent("refused", "the hub has discarded a command to the motor"))
        done = any(one.port == port and lwp3.Feedback.COMPLETED in one.flags for one in message.ports)
        is_settled = asyncio.get_running_loop().time() - self._opened_s > SETTLED_S
        if not done or before.output(port).open or not is_settled:
            return
        self._emit(HubEvent("shared", "the motor was driven by somebody else"))
        if self.motor.braked_s is not None:
            self._send_queue.put_nowait(lwp3.brake(port))

    def _tell_refusal(self, message: lwp3.GenericError) -> None:
        codes = {code.value: code.name.lower().replace("_", " ") for code in lwp3.ErrorCode}
        why = codes.get(message.code, f"error 0x{message.code:02x}")
        if message.command == lwp3.MessageType.PORT_OUTPUT_COMMAND:
            # The first brakes go to ports that may be empty, and are refused there.
            if not self.ready:
                return
            self._emit(HubEvent("refused", f"the hub refuses a command to a port: {why}"))
        elif (message.command, message.code) not in self._refused:
            self._refused.add((message.command, message.code))
            _log.warning("hub_refused", message=f"0x{message.command:02x}", reason=why)

    def _react(self, before: lwp3.HubModel, message: lwp3.Message | lwp3.Malformed) -> None:
        now = self.model
        self._react_to_motor(before, message)
        for alert in sorted(now.alerts - before.alerts):
            self._emit(HubEvent("alert", alert.name.lower()))
        if now.button_pressed and not before.button_pressed:
            self._emit(HubEvent("button_pressed"))
        if now.motor_port is not None:
            self._motor_known.set()
        # Without a motor there is nothing to drive; a new link starts from the beginning.
        elif before.motor_port is not None:
            self.connection.drop("the motor was unplugged")
        if isinstance(message, lwp3.HubAction) and message.action in _DISCONNECT_REASONS:
            self.connection.drop(_DISCONNECT_REASONS[message.action])
