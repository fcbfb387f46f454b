"""Fixtures for the detector tests."""

from tests.support.gpu import gpu

__all__ = ["gpu"]
