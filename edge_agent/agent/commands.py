"""Where accepted commands from the outside become orders to the train, whatever channel brought them, and are told.

Knows control and capture. Knows nothing of tokens or freshness: whoever calls has judged the command.
"""

from collections import deque
from collections.abc import Callable

from edge_agent.control.commands import Acknowledgement, Instruction, Refused, Verb
from edge_agent.control.guard import Order
from edge_agent.events import CommandResult
from edge_agent.pipeline import Capture, Control

REFUSALS_PER_S = 20
"""So many refusals are told in a second: whoever floods the train with commands must not fill the observers' disks."""

_ORDERS = {
    Verb.DRIVE: Order.DRIVE,
    Verb.STOP: Order.STOP,
    Verb.EMERGENCY_STOP: Order.EMERGENCY_STOP,
    Verb.ARM: Order.ARM,
    Verb.DISARM: Order.DISARM,
    Verb.REARM: Order.REARM,
}


class CommandExecutor:
    """Carries out instructions in the event loop, says what came of them, and tells the observers.

    Args:
        publish: is given an Answer for each instruction, and for each refusal up to REFUSALS_PER_S.
        clock: the event loop's clock.
    """

    def __init__(
        self,
        control: Control,
        capture: Capture,
        *,
        publish: Callable[[CommandResult], None],
        clock: Callable[[], float],
    ) -> None:
        self.untold = 0
        self._control, self._capture = control, capture
        self._publish = publish
        self._clock = clock
        self._told_s: deque[float] = deque(maxlen=REFUSALS_PER_S)

    def carry_out(self, channel: str, instruction: Instruction, who: str | None = None) -> Acknowledgement:
        """Do what was commanded; the answer tells the guard's state after it."""
        verb = instruction.verb
        match verb:
            case Verb.CAPTURE_START | Verb.CAPTURE_STOP:
                # Without fresh frames the guard brakes.
                self._capture.pause(verb is Verb.CAPTURE_STOP)
            case Verb.POWER if instruction.power_percent is not None:
                self._control.set_cruise_power(instruction.power_percent)
            case verb if verb in _ORDERS:
                self._control.order(_ORDERS[verb])
            case _:
                pass  # a picture on request is the channel's own affair
        permit = self._control.permit
        state, reason, now_s = permit.state.value, permit.reason, self._clock()
        self._publish(CommandResult(channel, who, instruction.command_id, verb.value, True, None, state, reason, now_s))
        return Acknowledgement(True, state, reason)

    def refuse(self, channel: str, name: str, command_id: str | None, refused: Refused, who: str | None = None) -> None:
        """Tell that a command was refused; of a flood of them, only the beginning of each second."""
        now_s = self._clock()
        if len(self._told_s) == REFUSALS_PER_S and now_s - self._told_s[0] < 1.0:
            self.untold += 1
            return
        self._told_s.append(now_s)
        code, reason = refused.code.value, refused.reason
        self._publish(CommandResult(channel, who, command_id, name, False, code, None, reason, now_s))
