"""The command line: one file a command, which parses its options, calls the rooms and prints.

Comes in: `sys.argv` and the environment. Goes out: text or JSON on stdout, errors on stderr, an exit code. Runs in the
main thread; commands that need an event loop start it.
"""

import sys


def main() -> None:
    """Run the program."""
    # A service manager calls this when the agent has died: it must not wait for the command line's parser.
    if sys.argv[1:3] == ["hub", "brake"] and not {"-h", "--help"} & set(sys.argv):
        from edge_agent.hub import emergency

        sys.exit(emergency.main(sys.argv[3:]))
    from edge_agent.cli import startup

    startup.set_library_defaults()
    if sys.argv[1:2] == ["run"]:
        startup.speed_up_run()
    startup.load_structlog()
    from edge_agent.cli.program import main as run_program

    run_program()


__all__ = ["main"]
