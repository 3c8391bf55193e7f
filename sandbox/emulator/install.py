"""Put the extension in place of moto's Auto Scaling, Cloud Map and SSM; take it out again.

moto's EC2 stays as it is, but for the events that an instance shuts down or stops, for pages, for
the time of its last start, and for the address of an instance in a subnet that is IPv6-only.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from unittest.mock import patch

import moto.autoscaling.models as autoscaling_models
import moto.core.errors as moto_errors
import moto.route53.models as route53_models
from moto.autoscaling.models import autoscaling_backends
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.models.instances import Instance
from moto.ec2.responses.instances import InstanceResponse
from moto.moto_api._internal import mock_random
from moto.servicediscovery.models import servicediscovery_backends
from moto.ssm.models import ssm_backends

from sandbox.emulator.autoscaling import api as autoscaling_api
from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from sandbox.emulator.autoscaling.groups import WaitingGroup
from sandbox.emulator.autoscaling.interruptions import announced, dated_start
from sandbox.emulator.cloud_map import api as cloud_map_api
from sandbox.emulator.cloud_map.backend import SlowCloudMapBackend
from sandbox.emulator.faults import OperationFailure
from sandbox.emulator.ipv6 import private_name, with_ipv6
from sandbox.emulator.paging import in_pages
from sandbox.emulator.ssm import api as ssm_api
from sandbox.emulator.ssm.run_command import RunCommandBackend
from sandbox.emulator.world import World

Gate = Callable[[BaseResponse, str], OperationFailure | None]
"""Checks a call before it is answered; raises a ServiceException to refuse it. It returns how the
operation that the call may start will fail, if it will."""


WITHOUT_CATALOGUE = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
"""No image is looked up here, and building moto's catalogue of them takes most of a second."""


class InjectedError(ServiceException):
    """An error that the faults ask for."""


def new_zone_id(**_: object) -> str:
    """The id of a hosted zone as Route 53 makes them: moto's do not begin with Z."""
    return f"Z{mock_random.get_random_string(length=19).upper()}"


def allow(_response: BaseResponse, _action: str) -> None:
    """The gate that refuses nothing."""


@contextmanager
def installed(world: World, gate: Gate = allow) -> Iterator[None]:
    """While inside, every call that moto answers is a turn of `world`."""
    groups_backend = _bound(WaitingAutoScalingBackend, world, autoscaling_api)
    map_backend = _bound(SlowCloudMapBackend, world, cloud_map_api)
    command_backend = _bound(RunCommandBackend, world, ssm_api)
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, WITHOUT_CATALOGUE))
        for owner, name, replacement in (
            (autoscaling_backends, "backend", groups_backend),
            (servicediscovery_backends, "backend", map_backend),
            (ssm_backends, "backend", command_backend),
            (autoscaling_models, "FakeAutoScalingGroup", WaitingGroup),
            (Instance, "terminate", announced(world, Instance.terminate, "shutting-down")),
            (InstanceResponse, "describe_instances", _described_in_pages(world)),
            (Instance, "stop", announced(world, Instance.stop, "stopping", _notify_groups(world))),
            (Instance, "start", dated_start(world, Instance.start)),
            (Instance, "prep_nics", with_ipv6(Instance.prep_nics)),
            (Instance, "private_dns_name", property(private_name)),
            (BaseResponse, "call_action", _in_turn(world, gate)),
            (route53_models, "create_route53_zone_id", new_zone_id),
            # moto warns of errors that are in no service's model, such as Throttling.
            (moto_errors, "warn", lambda *_, **__: None),
        ):
            stack.enter_context(patch.object(owner, name, replacement))
        # Nothing of another world is visible in this one, and nothing of this one later.
        BackendDict.reset()
        stack.callback(BackendDict.reset)
        yield


def _bound(backend: type[BaseBackend], world: World, api: ModuleType) -> type[BaseBackend]:
    """The backend in this world, behind this API: moto would look for a module next to it."""
    return type(f"Bound{backend.__name__}", (backend,), {"world": world, "_url_module": api})


def _described_in_pages(world: World) -> Callable[[InstanceResponse], ActionResult]:
    return in_pages(world, InstanceResponse.describe_instances, "Reservations", "MaxResults")


def _notify_groups(world: World) -> Callable[[str], None]:
    def tell(instance_id: str) -> None:
        for backend in WaitingAutoScalingBackend.all_of(world):
            backend.notify_stopped_instance(instance_id)

    return tell


def _in_turn(world: World, gate: Gate) -> Callable[[BaseResponse], TYPE_RESPONSE]:
    answer = BaseResponse.call_action

    def call_action(self: BaseResponse) -> TYPE_RESPONSE:
        action = self._get_action()
        with world.turn():
            try:
                world.operation_failure = gate(self, action)
            except ServiceException as refusal:
                return self.serialized(ActionResult(refusal))
            failure = world.faults.take_call_failure(action)
            if failure is None:
                return answer(self)
            if failure.moment == "after":
                answer(self)
            return self.serialized(ActionResult(InjectedError(failure.code, failure.message)))

    return call_action
