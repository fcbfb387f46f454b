"""Pictures come in, signs with their boxes go out: cameras, image processing, the detector and the tracking of signs.

Cameras read in a thread of their own and the detector runs in a worker thread; tracking is a pure function that the
event loop calls.
"""
