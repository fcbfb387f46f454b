"""A simulated world that closes the loop: motor commands in, the train's motion, and the pictures of its camera out.

`world.World` is the entry point; `camera.SimCamera` and `hub.SimHub` implement the ports, on the event loop, with
rendering in a thread; `clock.run_virtual` runs faster than real time.
"""
