"""Training pictures rendered by our own code: scenes in the style of the real track, with boxes, from a seed."""
