"""Events come in; MQTT and Kafka messages, metrics, traces and recordings of them go out.

Each observer reads a bounded queue of its own. Clients of brokers run in threads with event loops of their own, so the
train's event loop never waits for a network or a disk.
"""
