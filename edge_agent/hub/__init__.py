"""Actuators behind the Hub door: a hub over Bluetooth (`ble`), a hub without a world (`mock`), an emulated one.

Importing this package imports none of them: each is asked for by its own module.
"""
