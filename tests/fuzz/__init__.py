"""Coverage-guided fuzzing of the parsers that read bytes from outside."""
