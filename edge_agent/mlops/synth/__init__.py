"""Training pictures rendered by our own code: scenes in the style of the real track, with boxes, from a seed.

`build.synthesise` makes a data set. Shares the signs' artwork with the simulator, and nothing else of it.
"""
