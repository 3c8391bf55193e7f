"""Auto Scaling's lifecycle states, and what each means for a log.

docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html,
.../warm-pool-instance-lifecycle.html
"""

from lifecycle.events import Transition

IN_SERVICE = "InService"
LAUNCHING = "Pending:Wait"
ENTERING_WARM_POOL = "Warmed:Pending:Wait"
RETAINED = {"Terminating:Retained", "Warmed:Terminating:Retained", "Warmed:Pending:Retained"}
_GONE = {"Terminating:Proceed", "Terminated", "Warmed:Terminating:Proceed", "Warmed:Terminated"}
IN_WARM_POOL = {
    "Warmed:Pending:Proceed",
    "Warmed:Running",
    "Warmed:Stopped",
    "Warmed:Hibernated",
}
_LEAVING_WARM_POOL = "Warmed:Terminating"
HELD = {
    Transition.LAUNCHING: {"Pending:Wait"},
    # Back into the pool it waits as if it were launched into it
    # (docs.aws.amazon.com/autoscaling/ec2/userguide/warm-pool-instance-lifecycle.html).
    Transition.TERMINATING: {"Terminating:Wait", "Warmed:Pending:Wait", "Warmed:Terminating:Wait"},
}


def may_serve(state: str | None) -> bool:
    """Tell whether an instance in this lifecycle state is in service or on its way there."""
    return state is not None and (state.startswith("Pending") or state == IN_SERVICE)


def is_leaving(state: str | None) -> bool:
    """Tell whether an instance in this lifecycle state is on its way out of the group, or gone.

    On its way back into a warm pool it shows a pending state of the pool.
    """
    return state is None or "Terminat" in state or state.startswith("Warmed:Pending")


def has_left(state: str | None) -> bool:
    """Tell whether an instance in this lifecycle state is gone, or past its last hook."""
    return state is None or state in _GONE


def is_leaving_warm_pool(state: str | None) -> bool:
    """Tell whether an instance in this lifecycle state leaves the warm pool for good.

    Once it is retained no completion lets it go any more.
    """
    return state is not None and state.startswith(_LEAVING_WARM_POOL) and state not in RETAINED


def is_in_warm_pool(state: str | None) -> bool:
    """Tell whether an instance in this lifecycle state has arrived in the warm pool."""
    return state in IN_WARM_POOL


def has_ended(state: str | None) -> bool:
    """Tell whether an instance in this state waits no more: gone, about to go, or in service."""
    return has_left(state) or state == IN_SERVICE
