"""Synthetic training pictures: options and a seed in, a data set of toy-track scenes with boxes out.

`build.synthesise` renders with processes of its own and blocks. The signs' artwork is shared with the simulator, and
nothing else of it.
"""
