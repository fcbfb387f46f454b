"""The version number of firmware and hardware in four bytes of packed decimal digits.

Knows the packing. Knows nothing of which version means what.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Major and minor of one digit each, bug fix of two, build of four; `raw` holds them as 0xMmBBbbbb."""

    raw: int

    def __str__(self) -> str:
        """Write as hubs' makers do: `1.0.06.0017`."""
        digits = f"{self.raw:08X}"
        return f"{digits[0]}.{digits[1]}.{digits[2:4]}.{digits[4:]}"

    @classmethod
    def of(cls, written: str) -> "Version":
        """Read `1.0.06.0017`; raises ValueError when it is written otherwise."""
        digits = written.replace(".", "")
        if [len(part) for part in written.split(".")] != [1, 1, 2, 4] or not digits.isdecimal():
            raise ValueError(f"{written!r} is no version; write it as 1.0.06.0017")
        return cls(int(digits, 16))
