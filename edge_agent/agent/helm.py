"""Where accepted commands from the outside become orders to the train; whatever channel brought them.

Knows control and capture. Knows nothing of tokens, freshness or channels: whoever calls has judged the command.
"""

from edge_agent.commands import Acknowledgement, Instruction, Verb
from edge_agent.guard import Order
from edge_agent.pipeline import Capture, Control

_ORDERS = {
    Verb.DRIVE: Order.DRIVE,
    Verb.STOP: Order.STOP,
    Verb.EMERGENCY_STOP: Order.EMERGENCY_STOP,
    Verb.ARM: Order.ARM,
    Verb.DISARM: Order.DISARM,
    Verb.REARM: Order.REARM,
}


class Helm:
    """Carries out instructions in the event loop and says what came of them."""

    def __init__(self, control: Control, capture: Capture) -> None:
        self._control, self._capture = control, capture

    def carry_out(self, instruction: Instruction) -> Acknowledgement:
        """Do what was commanded; the answer tells the guard's state after it."""
        match instruction.verb:
            case Verb.CAPTURE_START | Verb.CAPTURE_STOP:
                self.capture(instruction.verb is Verb.CAPTURE_START)
            case Verb.POWER if instruction.power_percent is not None:
                self._control.set_cruise_power(instruction.power_percent)
            case verb if verb in _ORDERS:
                self._control.order(_ORDERS[verb])
            case _:
                pass  # a picture on request is the channel's own affair
        permit = self._control.permit
        return Acknowledgement(True, permit.state.value, permit.reason)

    def capture(self, running: bool) -> None:
        """Take frames, or stop taking them; without fresh frames the guard brakes."""
        self._capture.pause(not running)
