"""The train on the real Bluetooth stack: user-mode Linux with its own Bluetooth and camera, bluetoothd, systemd.

`make device` builds the system and runs the trials in it; docs/device.md has their results. build.py makes kernel and
image on this machine, machine.py boots them; trials.py, unit.py and the hub on the air (air.py) run inside. Not in the
wheel, and only the pure parts are in `make test`.
"""
