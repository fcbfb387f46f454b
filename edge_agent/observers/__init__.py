"""Events come in, copies for observers go out: MQTT, the outbox and Kafka, metrics, traces, recordings.

Each observer reads a bounded queue of its own. Clients of brokers run in threads with event loops of their own, so that
the train's event loop never waits for a network or a disk.
"""
