"""Tracked signs and commands come in, motor commands and lights go out: policy, guard, driver and watchdog.

Policy, guard and power are pure functions, called in the event loop; the driver is a task of the event loop and the
only writer of the motor; the watchdog is a thread that brakes when the loop stands still.
"""
