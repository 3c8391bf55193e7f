"""Deliberate bugs of answers that are not whole, unknown states, and instances that live on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lifecycle.adapters.autoscaling import AutoScaling, Membership
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.decisions import flush, ownership
from lifecycle.decisions.flush import FlushVerdict, Invocation
from lifecycle.decisions.ownership import Module, Ownership, Whereabouts
from lifecycle.errors import NotOurs
from lifecycle.flows.ownership import Scope
from lifecycle.flows.release import Exit
from lifecycle.messages import LifecycleAction
from tests.model.bugs import Mutation, each

_SHORT_PAGES = "tests/integration/test_short_pages.py"
_ROOT_VOLUMES = "tests/integration/test_root_volumes.py"
_EARLIER_LIVES = f"{_ROOT_VOLUMES}::TestEarlierLives"
_FLUSH_VERDICT = "tests/unit/decisions/test_flush.py"
_STATES = "tests/unit/decisions/test_states.py"
_HANDLER = "tests/unit/flows/test_entrance.py"
_SUDDEN_ENDS = "tests/unit/flows/test_sudden_end.py"
_UNKNOWN_STATES = "tests/integration/test_unknown_states.py"

_OWNERSHIP = "tests/unit/decisions/test_ownership.py"
_LEAVING = "tests/integration/test_leaving.py"

_ownership_of = ownership.ownership_of
_judge_flush, _release = flush.judge_flush, Exit._release


def owners() -> Iterator[Mutation]:
    """Whose an instance is: asked of one source only."""
    target = "lifecycle.decisions.ownership:ownership_of"
    yield from each(
        _OWNERSHIP,
        {
            "what another group has in service touched": {target: _taken_back},
            "an instance without an owner taken for ours": {target: _taken_over},
        },
    )
    yield Mutation(
        "a wait in a former group not restarted",
        {"lifecycle.flows.survey:_waits_in": lambda member, ownership: None},
        "tests/unit/flows/test_reconcile.py",
    )
    yield from each(
        _LEAVING,
        {
            "what has left the group forgotten": {target: _forgotten},
            "the end of what has left the group not counted": {
                "lifecycle.flows.sudden_end:_SuddenEnd._count_end_outside": lambda self: None
            },
            "a former group's hook that still holds an instance not asked": {
                "lifecycle.flows.ownership:Scope._require_held": _not_asked
            },
        },
    )


def _not_asked(self: Scope, action: LifecycleAction, member: Membership | None) -> None:
    raise NotOurs(action.autoscaling_group_name)


def _taken_back(module: Module, found: Whereabouts) -> Ownership:
    whose = _ownership_of(module, found)
    return Ownership.LEFT if whose is Ownership.SERVES_ELSEWHERE else whose


def _taken_over(module: Module, found: Whereabouts) -> Ownership:
    return _ownership_of(module, replace(found, owner=found.owner or module.name))


def _forgotten(module: Module, found: Whereabouts) -> Ownership:
    is_member = found.group == module.group
    return Ownership.MEMBER if is_member else Ownership.FOREIGN


def answers() -> Iterator[Mutation]:
    """Part of an answer taken for all of it."""
    yield from each(
        _SHORT_PAGES,
        {
            "the first page of an answer taken for all of it": {
                "lifecycle.adapters.autoscaling:AutoScaling.memberships": _first_page
            },
            "the first page of the registrations taken for all of them": {
                "lifecycle.adapters.cloud_map:CloudMap._listed": _first_registrations
            },
        },
    )
    yield Mutation(
        "an answer that was cut off taken for a whole one",
        {"lifecycle.decisions.flush:judge_flush": _as_if_whole},
        _FLUSH_VERDICT,
    )


def states() -> Iterator[Mutation]:
    """States that are not known, and instances that live on after a termination."""
    yield Mutation(
        "an unknown state taken for one that means nothing",
        {"lifecycle.decisions.states:require_known": lambda instance_id, state: None},
        _HANDLER,
    )
    yield Mutation(
        "a reconciler that overlooks who is in an unknown state",
        {"lifecycle.decisions.reconcile:Snapshot.in_unknown_states": lambda self: []},
        _UNKNOWN_STATES,
    )
    yield Mutation(
        "a root volume that is replaced without a drain",
        {"lifecycle.decisions.states:is_root_volume_held": lambda state: False},
        _STATES,
    )
    yield Mutation(
        "an old message of a termination that takes out who serves again",
        {
            "lifecycle.flows.operation:may_serve": lambda state: False,
            "lifecycle.flows.release:has_ended": lambda state: False,
        },
        f"{_EARLIER_LIVES}::test_a_message_of_its_termination_that_comes_again_takes_none_out",
    )
    yield Mutation(
        "a proof that outlives the replacement of the root volume",
        {"lifecycle.flows.release:Exit._release": _proven_for_ever},
        "tests/unit/flows/test_release.py",
    )
    yield Mutation(
        "a root volume that went undrained and unreported",
        {
            "lifecycle.decisions.instance:Instance.served_unproven_before": (
                lambda self, moment: False
            )
        },
        f"{_ROOT_VOLUMES}::TestLostEvents",
    )
    yield Mutation(
        "an instance that stops marked as reclaimed, so that it never serves again",
        {"lifecycle.flows.sudden_end:may_serve": lambda state: False},
        _SUDDEN_ENDS,
    )


def _first_page(self: AutoScaling, instance_ids: Sequence[str]) -> dict[str, Membership]:
    page = self._client.describe_auto_scaling_instances(InstanceIds=list(instance_ids)[:50])
    return {
        one["InstanceId"]: Membership(one["AutoScalingGroupName"], one["LifecycleState"])
        for one in page["AutoScalingInstances"]
    }


def _first_registrations(self: CloudMap, service_id: str) -> frozenset[str]:
    page = self._client.list_instances(ServiceId=service_id)
    return frozenset(one["Id"] for one in page["Instances"])


def _as_if_whole(invocation: Invocation) -> FlushVerdict:
    whole = Invocation(
        invocation.status,
        invocation.status_details,
        invocation.output.strip(),
        invocation.error_output,
    )
    return _judge_flush(whole)


def _proven_for_ever(self: Exit, action: LifecycleAction, state: str | None) -> None:
    _release(self, action, "Terminating:Wait")
