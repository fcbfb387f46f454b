"""Fixtures of the tests of the agent."""

from tests.support.gpu import gpu

__all__ = ["gpu"]
