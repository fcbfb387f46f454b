"""The agent's pace against bare baselines, in interleaved blocks of one run.

Comes in: a plan (how long, how many rounds). Goes out: twelve ratios with 95% intervals (`goals.py`); the last full run
is in docs/benchmarks.md. Runs in the main thread, which starts an event loop for each block of the agent; memory, start
and scale are measured on child processes.
"""
