"""The outbox's records come in and go to Kafka; commands come in by a topic; in a thread with its own event loop."""
