"""What an emulated Bluetooth stack does wrong, as one frozen value.

Knows kinds of misbehaviour, per D-Bus method. Knows nothing of how a method works when it behaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

IN_PROGRESS = "org.bluez.Error.InProgress"
FAILED = "org.bluez.Error.Failed"
NOT_PERMITTED = "org.bluez.Error.NotPermitted"


class LinkHolder(StrEnum):
    """Who has the hub's one link: nobody, another machine, or another program behind the same BlueZ."""

    NOBODY = "nobody"
    ELSEWHERE = "elsewhere"
    HERE = "here"


def _nothing() -> Mapping[str, float]:
    return MappingProxyType({})


def _no_errors() -> Mapping[str, tuple[str, str]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Faults:
    """Misbehaviour by the name of the D-Bus method, `WriteValue` for instance.

    `hung` methods do nothing and never answer; `mute` ones do their work and never answer; `errors` ones do nothing and
    answer with that error, name and text, for ever; `delays_s` holds the others up.
    """

    hung: frozenset[str] = frozenset()
    mute: frozenset[str] = frozenset()
    errors: Mapping[str, tuple[str, str]] = field(default_factory=_no_errors)
    delays_s: Mapping[str, float] = field(default_factory=_nothing)

    @property
    def methods(self) -> frozenset[str]:
        """Every method that misbehaves."""
        return self.hung | self.mute | frozenset(self.errors) | frozenset(self.delays_s)

    def hanging(self, method: str) -> "Faults":
        """Have a method never return, and its work undone."""
        return replace(self, hung=self.hung | {method})

    def muting(self, method: str) -> "Faults":
        """Have a method do its work but never return."""
        return replace(self, mute=self.mute | {method})

    def failing(self, method: str, error: str, text: str) -> "Faults":
        """Have a method fail."""
        return replace(self, errors=MappingProxyType({**self.errors, method: (error, text)}))

    def delaying(self, method: str, delay_s: float) -> "Faults":
        """Have a method take its time."""
        return replace(self, delays_s=MappingProxyType({**self.delays_s, method: delay_s}))
