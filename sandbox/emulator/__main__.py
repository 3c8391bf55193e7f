"""`python -m sandbox.emulator`: serve until SIGTERM; the first line printed is the address."""

import argparse
import signal
import threading

from sandbox.emulator.server import ServerSettings, serving


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: the system chooses a free one")
    parser.add_argument("--account-id", default="123456789012")
    parser.add_argument("--region", default="ap-northeast-1")
    parser.add_argument("--root-key", default="test", help="the access key that may do anything")
    parser.add_argument("--iam-endpoint", help="check the permissions of functions' roles there")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with serving(ServerSettings(**vars(arguments))) as (_, address):
        print(address, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
