"""Lifecycle hooks as Auto Scaling keeps them: what is given is stored, what is wrong is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend

from sandbox.emulator.autoscaling.events import Transition
from sandbox.emulator.world import World

RESULTS = ("CONTINUE", "ABANDON")
SHORTEST_HEARTBEAT_SECONDS = 30
LONGEST_HEARTBEAT_SECONDS = 7200
DEFAULT_HEARTBEAT_SECONDS = 3600
LONGEST_WAIT_SECONDS = 48 * 3600
HOOKS_PER_GROUP = 50


@dataclass(frozen=True)
class Hook:
    """One lifecycle hook."""

    name: str
    auto_scaling_group_name: str
    lifecycle_transition: str
    heartbeat_timeout: int = DEFAULT_HEARTBEAT_SECONDS
    default_result: str = "ABANDON"
    notification_metadata: str | None = None
    notification_target_arn: str | None = None
    role_arn: str | None = None

    @property
    def global_timeout(self) -> int:
        """The longest that heartbeats can hold an instance, in seconds."""
        return min(LONGEST_WAIT_SECONDS, 100 * self.heartbeat_timeout)

    def description(self) -> dict[str, Any]:
        """The hook as DescribeLifecycleHooks shows it: nothing that was not given is invented."""
        members = {
            "LifecycleHookName": self.name,
            "AutoScalingGroupName": self.auto_scaling_group_name,
            "LifecycleTransition": self.lifecycle_transition,
            "HeartbeatTimeout": self.heartbeat_timeout,
            "GlobalTimeout": self.global_timeout,
            "DefaultResult": self.default_result,
            "NotificationMetadata": self.notification_metadata,
            "NotificationTargetARN": self.notification_target_arn,
            "RoleARN": self.role_arn,
        }
        return {name: value for name, value in members.items() if value is not None}


class HookedBackend(AutoScalingBackend):
    """moto's backend, with what a group needs of it: hooks, and the world they wait in."""

    world: ClassVar[World]
    """Bound by a subclass for each emulated cloud."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._hooks: dict[str, dict[str, Hook]] = {}

    def hooks_of(self, group_name: str) -> dict[str, Hook]:
        return self._hooks.setdefault(group_name, {})


def put(hooks: dict[str, Hook], group_name: str, parameters: Mapping[str, Any]) -> Hook:
    """Create or update a hook of one group from the parameters of the API call."""
    name = parameters["LifecycleHookName"]
    settings = _settings(parameters)
    known = hooks.get(name)
    if known is not None:
        hook = replace(known, **settings)
    elif "lifecycle_transition" not in settings:
        raise ValidationError("LifecycleTransition is required for a new lifecycle hook")
    else:
        hook = Hook(name, group_name, **settings)
    _validate(hook)
    if known is None and len(hooks) >= HOOKS_PER_GROUP:
        raise AutoscalingClientError(
            "LimitExceeded", f"Maximum of {HOOKS_PER_GROUP} lifecycle hooks per group"
        )
    hooks[name] = hook
    return hook


def _settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "LifecycleTransition": "lifecycle_transition",
        "HeartbeatTimeout": "heartbeat_timeout",
        "DefaultResult": "default_result",
        "NotificationMetadata": "notification_metadata",
        "NotificationTargetARN": "notification_target_arn",
        "RoleARN": "role_arn",
    }
    given = {names[key]: parameters[key] for key in names if parameters.get(key) is not None}
    if "heartbeat_timeout" in given:
        given["heartbeat_timeout"] = int(given["heartbeat_timeout"])
    return given


def _validate(hook: Hook) -> None:
    transitions = [transition.value for transition in Transition]
    if hook.lifecycle_transition not in transitions:
        raise ValidationError(f"Lifecycle transition must be one of {', '.join(transitions)}")
    shortest, longest = SHORTEST_HEARTBEAT_SECONDS, LONGEST_HEARTBEAT_SECONDS
    if not shortest <= hook.heartbeat_timeout <= longest:
        raise ValidationError(f"Heartbeat timeout must be between {shortest} and {longest} seconds")
    require_result(hook.default_result)


def require_result(result: object) -> None:
    """Refuse a lifecycle action result that Auto Scaling does not know."""
    if result not in RESULTS:
        raise ValidationError(f"Lifecycle action result must be one of {', '.join(RESULTS)}")
