"""The errors, named by what the caller must do.

LifecycleError
├── NotReady             come back later: the proof is not there yet, nothing is wrong
├── Permanent            hand it to a person: trying again cannot help (dead-letter queue)
│   └── Malformed        an event or message of another form; names field and value
├── Surprise             AWS answered what it should not have: unknown, so keep and try again
├── AgentNotReachable    SSM cannot run a command there (yet): unknown, so ask again
├── PrometheusFailed     no usable answer from Prometheus: every verdict of the batch is UNKNOWN
└── ConfigurationError   the function cannot work until its settings change; names every problem
"""


class LifecycleError(Exception):
    """Base of everything this package raises on purpose."""


class NotReady(LifecycleError):
    """The stage's condition does not hold yet.

    ``not_before`` is the earliest time (epoch seconds) at which the answer could be yes,
    or ``None`` when nothing is known about it.
    """

    def __init__(self, reason: str, *, not_before: float | None = None) -> None:
        super().__init__(reason)
        self.not_before = not_before


class Permanent(LifecycleError):
    """Trying again cannot help; a person has to look.

    ``redrive_with`` is the message to set aside where the one in hand would give up again at once:
    a redrive has to start afresh.
    """

    def __init__(self, reason: str, *, redrive_with: str | None = None) -> None:
        super().__init__(reason)
        self.redrive_with = redrive_with


class Malformed(Permanent):
    """An event or a check message that does not have the agreed form."""


class Surprise(LifecycleError):
    """An answer that has no place in the design; treated as unknown, so the instance stays."""


class AgentNotReachable(LifecycleError):
    """SSM knows no running agent on the instance."""


class PrometheusFailed(LifecycleError):
    """Prometheus could not be asked, or its answer is not an answer."""


class ConfigurationError(LifecycleError):
    """Settings are missing or wrong; the message lists all of them at once."""
