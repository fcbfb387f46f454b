"""Values come in from the event loop, records come out in order once they are committed to an SQLite file.

A thread of its own encodes and writes; records stay until they are acknowledged, through outages and restarts.
"""
