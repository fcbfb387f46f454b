"""Hub drivers: powers, brakes and lights come in, status and events (button, alert, link) go out.

`ble` drives a LEGO hub over Bluetooth and `mock` records calls, both in the event loop; `emergency` brakes without it,
from any thread or from a process of its own; `emulator` serves an emulated hub. `ports.Hub` is their interface.
"""
