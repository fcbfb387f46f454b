"""Events come in and go to Kafka through the outbox; commands come in from topics.

The uplink and each consumer of commands run in threads with event loops of their own.
"""
