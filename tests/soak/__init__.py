"""Long tests and benchmarks, each a module of its own: `python -m tests.soak.NAME --help`."""
