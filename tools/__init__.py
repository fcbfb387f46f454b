"""Programs for those who work on the project: writers of generated pages and schemas, comparisons of builds.

Run from a checkout as `python -m tools.NAME`; not part of the wheel.
"""
