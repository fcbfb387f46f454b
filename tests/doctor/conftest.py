"""Fixtures of the tests of the doctor."""

from tests.support.gpu import gpu

__all__ = ["gpu"]
