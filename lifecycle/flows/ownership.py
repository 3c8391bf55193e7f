"""Asks whose an instance is; ``decisions/ownership.py`` decides it."""

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling, Heartbeat, Membership
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.ownership import Module, Ownership, Whereabouts, ownership_of
from lifecycle.decisions.states import may_serve
from lifecycle.errors import NotOurs, NotReady, UnexpectedState
from lifecycle.messages import LifecycleAction, Transition


def whereabouts(member: Membership | None, instance: Instance | None) -> Whereabouts:
    """Return where Auto Scaling and EC2 show an instance."""
    owner = instance.owner if instance else None
    if member is not None:
        return Whereabouts(member.autoscaling_group_name, member.state, owner)
    return Whereabouts(instance.group if instance else None, None, owner)


@dataclass(frozen=True, slots=True)
class Scope:
    """What this module may work on: its group, and what it took over there before."""

    module: Module
    autoscaling: AutoScaling
    instances: Instances

    def is_of_group(self, action: LifecycleAction) -> bool:
        """Tell whether a lifecycle action is of this module's group."""
        return action.autoscaling_group_name == self.module.group

    def has_left(self, action: LifecycleAction) -> bool:
        """Tell whether the instance is ours, and out of our group, and serves in no other."""
        member = self.autoscaling.membership(action.instance_id)
        return self._ownership(action, member) is Ownership.LEFT

    def refusals(self, actions: Mapping[str, LifecycleAction]) -> dict[str, Exception | None]:
        """Return, by their keys, why instances are not checked now: NotOurs, NotReady, or unknown.

        One call asks where all of them are; those of this module's group cost no other.
        """
        try:
            members = self.autoscaling.memberships(
                sorted({one.instance_id for one in actions.values()})
            )
        except Exception as error:  # noqa: BLE001 (unknown is neither ours nor foreign: ask again)
            return dict.fromkeys(actions, error)
        return {
            key: self._refusal(one, members.get(one.instance_id)) for key, one in actions.items()
        }

    def _refusal(self, action: LifecycleAction, member: Membership | None) -> Exception | None:
        try:
            self._require_ours(action, member)
        except Exception as error:  # noqa: BLE001 (unknown is neither ours nor foreign: ask again)
            return error
        return None

    def _require_ours(self, action: LifecycleAction, member: Membership | None) -> None:
        if not self.is_of_group(action):
            self._require_held(action, member)
            return
        if member is None:
            return
        # A message may be redriven long after its wait had ended.
        if member.autoscaling_group_name == self.module.group:
            if action.transition is Transition.TERMINATING and may_serve(member.state):
                raise NotReady(f"it is {member.state}: its termination may have ended")
            return
        if not self._ownership(action, member).may_be_touched:
            raise NotOurs(
                f"action.instance_id: {action.instance_id} is {member.state} in the group "
                f"{member.autoscaling_group_name!r}, which is not this pipeline's"
            )

    def _ownership(self, action: LifecycleAction, member: Membership | None) -> Ownership:
        found = whereabouts(member, self.instances.find(action.instance_id))
        return ownership_of(self.module, found)

    def _require_held(self, action: LifecycleAction, member: Membership | None) -> None:
        """Raise NotOurs unless a hook of this module holds the instance; keep its wait alive.

        Of an action of another group, as after a change of ``autoscaling_group_name``. Raises
        UnexpectedState if it cannot be found out, and what AWS raises.
        """
        foreign = f"action.autoscaling_group_name: {action.autoscaling_group_name!r} is not this "
        if self._ownership(action, member) is not Ownership.LEFT:
            raise NotOurs(f"{foreign}pipeline's group, and {action.instance_id} is not its own")
        heartbeat, said = self.autoscaling.record_heartbeat(action)
        if heartbeat is Heartbeat.NO_ACTIVE_ACTION:
            raise NotOurs(f"{foreign}pipeline's group, and none of its hooks holds the instance")
        if heartbeat is Heartbeat.FAILED:
            raise UnexpectedState(
                f"{foreign}pipeline's group, and its hook cannot be asked (former_group_names): "
                f"{said}"
            )
