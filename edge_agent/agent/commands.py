"""From accepted commands to orders for the train, and the rules of each channel as the settings give them."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from edge_agent.config import Settings
from edge_agent.control.commands import (
    Authorizer,
    Channel,
    Code,
    Command,
    CommandHandler,
    CommandRules,
    Refusal,
    Verb,
    read_rules,
    refused,
)
from edge_agent.control.guard import Order
from edge_agent.events import CommandResult
from edge_agent.pipeline import Capture, Control

REFUSALS_PER_S = 20
"""Refusals published in a second: a flood of commands must not fill the observers' disks."""

CAPTURE_MAX_AGE_S = 5.0
"""An older start by the original demo's console is not obeyed."""

_ORDERS = {
    Verb.DRIVE: Order.DRIVE,
    Verb.STOP: Order.STOP,
    Verb.EMERGENCY_STOP: Order.EMERGENCY_STOP,
    Verb.ARM: Order.ARM,
    Verb.DISARM: Order.DISARM,
    Verb.REARM: Order.REARM,
}


class CommandExecutor:
    """Executes commands in the train's event loop and publishes what became of each.

    Args:
        publish: gets the result of each command, of refusals up to REFUSALS_PER_S; the others are counted in
            `refusals_suppressed`.
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
        self.refusals_suppressed = 0
        self._control, self._capture = control, capture
        self._publish = publish
        self._clock = clock
        self._published_s: deque[float] = deque(maxlen=REFUSALS_PER_S)

    def execute(self, command: Command) -> CommandResult:
        """Do what was commanded, unless the guard's state forbids it; the result has the guard's state after it."""
        verb, why = command.verb, ""
        match verb:
            case Verb.CAPTURE_START | Verb.CAPTURE_STOP:
                stopped = verb is Verb.CAPTURE_STOP
                self._capture.pause(stopped)
                self._control.set_capture_stopped(stopped)
            case Verb.POWER if command.power_percent is not None:
                self._control.set_cruise_power(command.power_percent)
            case verb if verb in _ORDERS:
                why = self._control.order(_ORDERS[verb])
            case _:
                pass  # pictures on request are sent by the channel itself
        permit = self._control.permit
        result = CommandResult(
            command.channel.value,
            command.sender,
            command.command_id,
            str(verb or command.name),
            accepted=not why,
            code=Code.WRONG_STATE.value if why else None,
            state=permit.state.value,
            reason=why or permit.reason,
            at_s=self._clock(),
        )
        self._publish_result(result)
        return result

    def refuse(self, command: Command, refusal: Refusal) -> CommandResult:
        """Return that a command was refused; of a flood of refusals, only the first of each second are published."""
        result = refused(command, refusal, self._clock())
        self._publish_result(result)
        return result

    def _publish_result(self, result: CommandResult) -> None:
        if result.accepted:
            self._publish(result)
        elif len(self._published_s) == REFUSALS_PER_S and result.at_s - self._published_s[0] < 1.0:
            self.refusals_suppressed += 1
        else:
            self._published_s.append(result.at_s)
            self._publish(result)


def build_command_handler(settings: Settings, executor: CommandExecutor) -> CommandHandler:
    """Return what handles the commands of every channel. In the train's loop."""
    return CommandHandler(Authorizer(), lambda channel: channel_rules(settings, channel), executor)


def channel_rules(settings: Settings, channel: Channel) -> CommandRules:
    """Return the rules of a channel: the limits of all channels, with the token of its own settings.

    Reads the token's file. Raises ConfigError where it cannot be read.
    """
    limits, mqtt, kafka, console = settings.commands, settings.mqtt, settings.kafka, settings.console
    match channel:
        case Channel.MQTT:
            return read_rules(limits, mqtt.command_token, mqtt.command_token_file, "mqtt.command_token_file")
        case Channel.KAFKA:
            rules = read_rules(limits, kafka.command_token, kafka.command_token_file, "kafka.command_token_file")
        case Channel.CONSOLE:
            rules = read_rules(limits, console.token, console.token_file, "console.token_file")
        case Channel.CRAZY_TRAIN:
            rules = read_rules(limits, None, None, "")
            rules = replace(rules, max_age_s=min(rules.max_age_s, CAPTURE_MAX_AGE_S))
    return replace(rules, images=False)
