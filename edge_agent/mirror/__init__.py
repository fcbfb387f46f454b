"""Observers that copy what happens to brokers: they see everything and stop nothing.

Knows brokers and how they fail. Knows nothing of how the train is controlled.
"""
