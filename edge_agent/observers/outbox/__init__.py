"""Events come in and are kept in an SQLite file until Kafka has acknowledged them; written in a thread of its own."""
