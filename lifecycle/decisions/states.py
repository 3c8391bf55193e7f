"""The lifecycle states of EC2 Auto Scaling, and what each means for an instance's logs.

docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html,
.../warm-pool-instance-lifecycle.html, .../replace-root-volume.html. AWS may add states, so an
instance's state is a plain string: one that is not listed here is unknown. Every question about it
is answered with no, and ``require_known`` raises, which keeps the instance and pages.
"""

from enum import StrEnum

from lifecycle.errors import UnexpectedState
from lifecycle.messages import Transition


class LifecycleState(StrEnum):
    """Every state of an instance that AWS documents."""

    PENDING = "Pending"
    PENDING_WAIT = "Pending:Wait"
    PENDING_PROCEED = "Pending:Proceed"
    IN_SERVICE = "InService"
    ENTERING_STANDBY = "EnteringStandby"
    STANDBY = "Standby"
    DETACHING = "Detaching"
    DETACHED = "Detached"
    QUARANTINED = "Quarantined"
    TERMINATING = "Terminating"
    TERMINATING_WAIT = "Terminating:Wait"
    TERMINATING_PROCEED = "Terminating:Proceed"
    TERMINATING_RETAINED = "Terminating:Retained"
    TERMINATED = "Terminated"
    REPLACING_ROOT_VOLUME = "ReplacingRootVolume"
    REPLACING_ROOT_VOLUME_WAIT = "ReplacingRootVolume:Wait"
    REPLACING_ROOT_VOLUME_PROCEED = "ReplacingRootVolume:Proceed"
    ROOT_VOLUME_REPLACED = "RootVolumeReplaced"
    WARMED_PENDING = "Warmed:Pending"
    WARMED_PENDING_WAIT = "Warmed:Pending:Wait"
    WARMED_PENDING_PROCEED = "Warmed:Pending:Proceed"
    WARMED_PENDING_RETAINED = "Warmed:Pending:Retained"
    WARMED_RUNNING = "Warmed:Running"
    WARMED_STOPPED = "Warmed:Stopped"
    WARMED_HIBERNATED = "Warmed:Hibernated"
    WARMED_TERMINATING = "Warmed:Terminating"
    WARMED_TERMINATING_WAIT = "Warmed:Terminating:Wait"
    WARMED_TERMINATING_PROCEED = "Warmed:Terminating:Proceed"
    WARMED_TERMINATING_RETAINED = "Warmed:Terminating:Retained"
    WARMED_TERMINATED = "Warmed:Terminated"


_S = LifecycleState
_KNOWN = frozenset(_S)
_MAY_SERVE = {
    _S.PENDING,
    _S.PENDING_WAIT,
    _S.PENDING_PROCEED,
    _S.IN_SERVICE,
    _S.ROOT_VOLUME_REPLACED,  # its launching hook comes next
}
_TERMINATING = {
    _S.TERMINATING,
    _S.TERMINATING_WAIT,
    _S.TERMINATING_PROCEED,
    _S.TERMINATING_RETAINED,
    _S.TERMINATED,
    _S.WARMED_TERMINATING,
    _S.WARMED_TERMINATING_WAIT,
    _S.WARMED_TERMINATING_PROCEED,
    _S.WARMED_TERMINATING_RETAINED,
    _S.WARMED_TERMINATED,
    # The instance lives on, but nothing on its root volume does.
    _S.REPLACING_ROOT_VOLUME,
    _S.REPLACING_ROOT_VOLUME_WAIT,
    _S.REPLACING_ROOT_VOLUME_PROCEED,
}
_BACK_TO_WARM_POOL = {
    _S.WARMED_PENDING,
    _S.WARMED_PENDING_WAIT,
    _S.WARMED_PENDING_PROCEED,
    _S.WARMED_PENDING_RETAINED,
}
_GONE = {_S.TERMINATING_PROCEED, _S.TERMINATED, _S.WARMED_TERMINATING_PROCEED, _S.WARMED_TERMINATED}
_RETAINED = {
    _S.TERMINATING_RETAINED,
    _S.WARMED_TERMINATING_RETAINED,
    _S.WARMED_PENDING_RETAINED,
}
_IN_WARM_POOL = {
    _S.WARMED_PENDING_PROCEED,
    _S.WARMED_RUNNING,
    _S.WARMED_STOPPED,
    _S.WARMED_HIBERNATED,
}
_LEAVING_WARM_POOL = {
    _S.WARMED_TERMINATING,
    _S.WARMED_TERMINATING_WAIT,
    _S.WARMED_TERMINATING_PROCEED,
}
_HELD = {
    Transition.LAUNCHING: {_S.PENDING_WAIT},  # on its way into service
    # On its way back into the pool it waits as if it were launched into it.
    Transition.TERMINATING: {
        _S.TERMINATING_WAIT,
        _S.REPLACING_ROOT_VOLUME_WAIT,
        _S.WARMED_PENDING_WAIT,
        _S.WARMED_TERMINATING_WAIT,
    },
}
_OUT_OF_SERVICE = {
    _S.ENTERING_STANDBY,
    _S.STANDBY,
    _S.DETACHING,
    _S.DETACHED,
    _S.QUARANTINED,
    _S.REPLACING_ROOT_VOLUME_PROCEED,
    *_GONE,
    *_RETAINED,
    *_IN_WARM_POOL,
}


def is_known(state: str | None) -> bool:
    """Tell whether the state is listed here; None, for no member of any group, is known, too."""
    return state is None or state in _KNOWN


def require_known(instance_id: str, state: str | None) -> None:
    """Raise UnexpectedState for a state that is not listed here."""
    if not is_known(state):
        raise UnexpectedState(
            f"{instance_id} is in the lifecycle state {state!r}, which this version does not know: "
            "keep the instance, discard nothing"
        )


def may_serve(state: str | None) -> bool:
    """Tell whether an instance in this state is in service or on its way there."""
    return state in _MAY_SERVE


def is_in_service(state: str | None) -> bool:
    """Tell whether Auto Scaling has the instance in service."""
    return state == _S.IN_SERVICE


def is_leaving(state: str | None) -> bool:
    """Tell whether what an instance in this state holds is about to be lost, or is.

    It is on its way out of the group, or its root volume is about to be replaced. On its way back
    into a warm pool it shows a pending state of the pool.
    """
    return state is None or state in _TERMINATING or state in _BACK_TO_WARM_POOL


def has_left(state: str | None) -> bool:
    """Tell whether an instance in this state is gone, or past its last hook."""
    return state is None or state in _GONE


def is_terminating(state: str | None) -> bool:
    """Tell whether a terminating transition is under way or over; a return to a pool is none."""
    return state in _TERMINATING


def launches_again(state: str | None) -> bool:
    """Tell whether an instance whose termination has ended lives on and is on its way into service.

    Its root volume was replaced, or it came out of the warm pool again.
    """
    is_replaced = state == _S.REPLACING_ROOT_VOLUME_PROCEED
    return is_replaced or (may_serve(state) and not is_in_service(state))


def has_ended(state: str | None) -> bool:
    """Tell whether the termination of an instance in this state has ended.

    It is gone, about to go, in service again, or on its way there.
    """
    return has_left(state) or is_in_service(state) or launches_again(state)


def is_retained(state: str | None) -> bool:
    """Tell whether the group's instance lifecycle policy keeps the instance: its hook has ended."""
    return state in _RETAINED


def is_leaving_warm_pool(state: str | None) -> bool:
    """Tell whether the instance is being terminated from the warm pool.

    A retained instance is excluded: completing its action no longer releases it.
    """
    return state in _LEAVING_WARM_POOL


def is_in_warm_pool(state: str | None) -> bool:
    """Tell whether an instance in this state has arrived in the warm pool."""
    return state in _IN_WARM_POOL


def is_held(state: str | None, transition: Transition) -> bool:
    """Tell whether a hook of this transition holds an instance in this state."""
    return state in _HELD[transition]


def is_root_volume_held(state: str | None) -> bool:
    """Tell whether a hook holds the instance before its root volume is replaced."""
    return state == _S.REPLACING_ROOT_VOLUME_WAIT


def is_entering_warm_pool(state: str | None) -> bool:
    """Tell whether a hook holds the instance on its way into the warm pool, new or back from it."""
    return state == _S.WARMED_PENDING_WAIT


def is_out_of_service(state: str | None) -> bool:
    """Tell whether a member in this state takes no logs, and no pipeline takes it out.

    Those that a hook holds, or is about to hold, are excluded: their pipeline takes them out.
    """
    return state in _OUT_OF_SERVICE
