"""The console: a page, a REST interface and a live connection that show trains and take commands to them.

The same on a train, fed with its own events, and for a fleet, fed from Kafka; beside it the health checks of a train.
Knows HTTP and envelopes. Knows nothing of where envelopes come from, of threads, or of how a train is controlled.
"""
