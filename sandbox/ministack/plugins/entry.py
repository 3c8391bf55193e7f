"""Start MiniStack as if a proxy before it ended TLS. Runs in MiniStack's own environment.

The module's queues refuse plain HTTP, as they should, and MiniStack enforces that. A certificate
would have to be known to Terraform, to every function and to every helper, for bytes that never
leave loopback; so each request is marked as the proxy of a real installation would mark it.
"""

import runpy
from pathlib import Path
from typing import Any

from ministack import app as ministack  # type: ignore[import-not-found] # in its own environment

MARK = (b"x-forwarded-proto", b"https")
ADDITIONS = ("alarms.py", "moves.py", "chaos.py", "code.py", "schedules.py", "invocations.py")
served = ministack.app


async def behind_proxy(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    """Mark the request and pass it on."""
    if scope["type"] == "http":
        scope = {**scope, "headers": [*scope["headers"], MARK]}
    await served(scope, receive, send)


if __name__ == "__main__":
    ministack.app = behind_proxy
    # By path: nothing else of this folder may be found by MiniStack or its functions.
    for name in ADDITIONS:
        runpy.run_path(str(Path(__file__).with_name(name)))["register"]()
    ministack.main()
