"""The web console: a page, a REST API and a WebSocket that show trains and take commands for them.

CloudEvents come in, from the train itself or, for a fleet, from Kafka; JSON, JPEG and MJPEG go out, and commands go to
a `Commander`. It runs in one event loop: on a train in a thread of its own (`agent/console.py`), for a fleet in the
main thread. `health` answers the train's health checks and serves its metrics.
"""
