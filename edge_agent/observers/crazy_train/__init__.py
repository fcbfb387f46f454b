"""The formats and topics of the original demo (crazy-train): events come in, its messages go out; pure functions."""
