"""Where commands of one channel come in, in the event loop: judged by the gate, carried out, and told.

Knows the order of things. Knows nothing of HTTP, brokers or what the train does with a command.
"""

from collections.abc import Callable

from edge_agent.control.commands.authorizer import Authorizer
from edge_agent.control.commands.model import STOPPING, Accepted, Acknowledgement, CommandRequest, Instruction, Refused
from edge_agent.control.commands.rules import CommandRules
from edge_agent.runtime.threads import in_daemon_thread


class CommandHandler:
    """Takes the commands of one channel.

    Args:
        gate: the train's, the same for every channel.
        read_rules: gives the rules of this channel; called in a thread, since it may read a file.
        obey: carries an instruction out, in the event loop; gets the sender's name too.
        refuse: is told of each refusal, in the event loop: the name of the command, its id, why, and the sender's name.
    """

    def __init__(
        self,
        gate: Authorizer,
        read_rules: Callable[[], CommandRules],
        *,
        obey: Callable[[Instruction, str | None], Acknowledgement],
        refuse: Callable[[str, str | None, Refused, str | None], None],
    ) -> None:
        self._gate = gate
        self._read_rules = read_rules
        self._obey = obey
        self._refuse = refuse

    def judge(self, request: CommandRequest | Refused) -> Accepted | Refused:
        """Judge what was read. From any thread; reads the token unless the command only stops."""
        return request if isinstance(request, Refused) else self._gate.admit(request, self._read_rules)

    def settle(
        self, name: str, command_id: str | None, verdict: Accepted | Refused, who: str | None = None
    ) -> Acknowledgement | Refused:
        """Carry out what was accepted, tell what was refused. In the event loop."""
        if isinstance(verdict, Accepted):
            return self._obey(verdict.instruction, who)
        self._refuse(name, command_id, verdict, who)
        return verdict

    async def take(
        self, name: str, request: CommandRequest | Refused, who: str | None = None
    ) -> Acknowledgement | Refused:
        """Take the command `name`: a stop at once, anything else when its rules have been read."""
        if isinstance(request, CommandRequest) and request.verb not in STOPPING:
            verdict = await in_daemon_thread(lambda: self.judge(request), "command")
        else:
            verdict = self.judge(request)
        return self.settle(name, request.command_id if isinstance(request, CommandRequest) else None, verdict, who)
