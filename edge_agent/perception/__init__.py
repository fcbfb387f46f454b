"""Pictures in, detected and tracked signs out: cameras, image processing, the detector and the tracking of signs.

A camera reads in a thread of its own, the detector runs in a worker thread that its caller owns, and tracking is a pure
function called on the event loop.
"""
