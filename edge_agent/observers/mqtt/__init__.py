"""Events come in, MQTT messages go out, and commands come in by topics; in a thread with an event loop of its own."""
