"""Run microburst with a seed for its random numbers: `python -m ... SEED ARGUMENTS...`."""

import random
import sys
from typing import Any

from microburst import models  # type: ignore[import-untyped]
from microburst.cli import main  # type: ignore[import-untyped]
from microburst.forward import Upstream  # type: ignore[import-untyped]


def speak_as_sqs_does() -> None:
    """Name SQS's errors as SQS does.

    microburst 0.10 puts `AWS.SimpleQueueService.` before every code of SQS; AWS does so for some
    (NonExistentQueue), and not for RequestThrottled, which the SDKs know by that name only: they
    would not retry, and a throttled call would be an error of another kind.
    """
    models._QUERY_ERROR_NAMESPACE.pop("sqs", None)  # noqa: SLF001 - there is no setting for it


def keep_host() -> None:
    """Forward the host name that the caller signed, as a proxy that does not sign itself must.

    microburst 0.10 writes the emulator's own; then no signature of a function is right any more.
    """
    rewritten = Upstream._outbound_headers  # noqa: SLF001 - there is no setting for it

    def headers(upstream: Any, request: Any) -> dict[str, str]:  # noqa: ANN401 - untyped
        return {**rewritten(upstream, request), "host": request.headers["Host"]}

    Upstream._outbound_headers = headers  # noqa: SLF001


if __name__ == "__main__":
    random.seed(sys.argv[1])
    speak_as_sqs_does()
    keep_host()
    sys.exit(main(sys.argv[2:]))
