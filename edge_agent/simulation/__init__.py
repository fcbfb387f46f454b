"""A simulated world that closes the loop: the motor moves the train, the train moves the camera.

Start at `world.World`; `camera.SimCamera` and `hub.SimHub` are its doors, `clock.run_virtual` the clock for runs that
nobody watches. Knows nothing of detectors, rules or the guard.
"""
