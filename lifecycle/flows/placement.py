"""Balances instances across Cloud Map services (at most 8 each) and protects the last one."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.operation import fresh_request_id
from lifecycle.decisions.shards import Members, Standing, Step, StepKind, overflow
from lifecycle.errors import NotReady
from lifecycle.messages import is_instance_id
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class Placement:
    """Balances instances across a fleet's services, and protects the last one of each.

    With ``allow_empty`` the last aggregator may leave without a successor.
    """

    cloud_map: CloudMap
    autoscaling: AutoScaling
    instances: Instances
    group: str
    allow_empty: bool
    runtime: Runtime

    def snapshot(self) -> Standing:
        """Take a picture of all that are registered.

        Cloud Map is asked first: an instance that joins later is missing, which keeps others.
        """
        members = self.cloud_map.members()
        registered = sorted({one for ids in members.values() for one in ids})
        instances = [one for one in registered if is_instance_id(one)]
        found = self.autoscaling.memberships(instances)
        strangers = [one for one in instances if one not in found]
        alive = {one.id for one in self.instances.describe(strangers).values() if one.is_running}
        return Standing(
            members,
            states={one: member.state for one, member in found.items()},
            outsiders=frozenset(registered) - frozenset(instances) | alive,
            own=frozenset(one for one, member in found.items() if member.state_in(self.group)),
        )

    def may_leave(
        self,
        instance_id: str,
        log_fields: Mapping[str, object],
        leaving: Callable[[AbstractSet[str]], AbstractSet[str]] = lambda _: frozenset(),
    ) -> bool:
        """Tell whether every service that the instance is in has a successor; log if it waits.

        Forwarders ignore an empty answer and keep sending to the last one. ``leaving`` returns
        those of the given instances in service that cannot be counted on.
        """
        return self.allow_empty or not self._needed_in(
            instance_id, self.snapshot(), log_fields, leaving
        )

    def make_way(self, instance_id: str, log_fields: Mapping[str, object]) -> None:
        """Get an instance a successor in each of its services, from another shard if need be.

        Raises NotReady until it has one.
        """
        if self.allow_empty:
            return
        standing = self.snapshot()
        vacancies = self._needed_in(instance_id, standing, log_fields)
        if not vacancies:
            # A successor from another shard has not left its old shard yet.
            self.carry_out(standing.steps_near(instance_id))
            return
        self.carry_out(standing.steps_into(vacancies))
        raise NotReady("the last aggregator in service discovery; waits for a successor")

    def _needed_in(
        self,
        instance_id: str,
        standing: Standing,
        log_fields: Mapping[str, object],
        leaving: Callable[[AbstractSet[str]], AbstractSet[str]] = lambda _: frozenset(),
    ) -> frozenset[str]:
        vacancies = standing.vacancies_left_by(instance_id, leaving(standing.in_service))
        if vacancies:
            self.runtime.telemetry.warning(
                LogEvent.LAST_AGGREGATOR_WAITS, **log_fields, service_ids=sorted(vacancies)
            )
        return vacancies

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Ask for every step; a repeated request stands for the operation under way."""
        for step in steps:
            operation_id = self._request(step)
            self.runtime.telemetry.info(
                LogEvent.SHARD_CHANGED,
                instance_id=step.instance_id,
                service_id=step.service_id,
                step=step.kind,
                operation_id=operation_id,
            )

    def measure(self, members: Members) -> None:
        """Report the instances that are beyond eight in one of these shards, if there are any."""
        beyond = overflow(members)
        if beyond:
            sizes = {service_id: len(ids) for service_id, ids in members.items()}
            self.runtime.telemetry.warning(LogEvent.SHARD_OVERFLOWS, sizes=sizes)
            self.runtime.telemetry.measure(Metric.SHARD_OVERFLOW, beyond)

    def _request(self, step: Step) -> str | None:
        if step.kind is StepKind.LEAVE:
            return self.cloud_map.deregister_from(step.service_id, step.instance_id)
        address = self.instances.address(step.instance_id)
        if address is None:
            return None  # gone meanwhile
        request_id = fresh_request_id(step.instance_id, self.runtime.clock())
        return self.cloud_map.register_in(step.service_id, step.instance_id, address, request_id)
