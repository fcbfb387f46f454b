"""Fuzzes every target: `make fuzz`, or `python -m tests.fuzz --seconds 300 --only event`.

Each target runs in a process of its own, from the inputs in tests/fuzz/corpus/TARGET on. What a run finds that covers
more is kept in --work; an input that raises is left there as `crash-...` and is to be added to the corpus with the fix.
Exit code 1 if a target raised.
"""

import argparse
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def main() -> int:
    """Run the targets one after the other."""
    parser = argparse.ArgumentParser(description="Fuzz the parsers that read bytes from outside.")
    parser.add_argument("--seconds", type=int, default=300, help="time of each target")
    parser.add_argument("--only", default="", help="only targets whose name contains this")
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"), help="folder for inputs that were found")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    options, more = parser.parse_known_args()
    if options.target:
        return _fuzz(options.target, more)
    failed = []
    for file in sorted(CORPUS.iterdir()):
        if options.only in file.name:
            found = options.work / file.name
            found.mkdir(parents=True, exist_ok=True)
            limits = [f"-max_total_time={options.seconds}", "-max_len=8192", "-timeout=60", "-print_final_stats=1"]
            words = ["--target", file.name, *limits, f"-artifact_prefix={found}/", str(found), str(file)]
            if subprocess.run([sys.executable, "-m", "tests.fuzz", *words], check=False).returncode:
                failed.append(file.name)
    print(f"failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


def _fuzz(target: str, words: list[str]) -> int:
    """Fuzz one target until the time is over or it raises."""
    import atheris  # noqa: PLC0415 - not installed for the tests

    with atheris.instrument_imports(include=["edge_agent", "json"]):
        from .targets import check  # noqa: PLC0415 - after the instrumentation has begun

    def one_input(data: bytes) -> None:
        check(target, data)

    atheris.Setup([sys.argv[0], *words], one_input)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
