"""Events come in, messages in the formats and for the topics of the original demo (crazy-train) go out.

Pure functions, called in the threads of the mirrors.
"""
