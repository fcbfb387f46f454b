"""Fixtures of the tests of detectors."""

from tests.support.gpu import gpu

__all__ = ["gpu"]
