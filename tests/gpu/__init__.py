"""Checks that need a real GPU with TensorRT: `make gpu`. CI has none; see docs/engines.md."""
