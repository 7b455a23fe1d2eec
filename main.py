"""Nodeloom's command line: arguments → parts → run. `python main.py --help` lists what there is."""

import sys

from nodeloom.arguments import parse
from nodeloom.documents import BadDocument
from nodeloom.places import BadOption


def main() -> int:
    """Serve, or run the command that was given; returns the exit code."""
    options = parse()
    try:
        if options.command is None:
            from nodeloom.serving import serve

            return serve(options)
        if options.command == "worker":
            from nodeloom.working import work

            return work(options)
        from nodeloom import commands

        command = {
            "run": commands.run,
            "lint": commands.lint,
            "explain": commands.explain,
            "nodes": commands.nodes,
        }[options.command]
        return command(options)
    except (BadOption, BadDocument) as error:
        print(f"main.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
