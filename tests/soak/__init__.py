"""Long trials, each a module to run by itself: `python -m tests.soak.NAME --help`."""
