"""The pace of the agent, proven: the real pipeline against bare baselines, in interleaved blocks of one run.

`goals.py` lists the twelve ratios and what each is measured by. docs/benchmarks.md holds the last full run.
"""
