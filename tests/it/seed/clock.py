"""Runs the script `clock.py SCRIPT NOW` with a clock of its own, and prints what that shows in the end."""

import runpy
import sys
import time

script, now = sys.argv[1], float(sys.argv[2])
clock = [now]
time.time = lambda: clock[0]


def clock_settime(which, to):
    assert which == time.CLOCK_REALTIME, (which, to)
    clock[0] = to


time.clock_settime = clock_settime
runpy.run_path(script)
print(f"in the end: {clock[0]:.0f}")
