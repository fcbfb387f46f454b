"""Control: predictions and operators' orders come in, motor commands and lights go out.

Policy, guard and power are pure functions, called in the event loop. The driver is a task of the event loop and
the only writer of the motor. The watchdog is a thread that brakes when the loop stalls.
"""
