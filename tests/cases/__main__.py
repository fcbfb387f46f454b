"""Runs every case and prints the table: `make cases`. Exit code 1 on a miss."""

import argparse
import sys

from edge_agent.runtime import log
from tests.cases.table import CASES, markdown, try_case


def main() -> int:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description="Run every case and print what is right and whether it is so.")
    parser.add_argument("--only", default="", help="only files whose name contains this")
    options = parser.parse_args()
    log.configure("error", "console", sys.stderr)
    outcomes = [try_case(case) for case in CASES if options.only in case.file]
    print(markdown(outcomes), end="")
    return int(any(outcome.missed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
