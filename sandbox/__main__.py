"""`python -m sandbox up` or `python -m sandbox demo`: what the Makefile's verbs run."""

import logging
import sys

from sandbox.demo import cli
from sandbox.up import up

USAGE = "usage: python -m sandbox up | demo [--help]"


def main(arguments: list[str]) -> int:
    """Run the verb that is asked for."""
    match arguments:
        case ["up"]:
            logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
            return up()
        case ["demo", *rest]:
            return cli.main(rest)
        case ["-h" | "--help"]:
            print(USAGE)
            return 0
        case _:
            print(USAGE, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
