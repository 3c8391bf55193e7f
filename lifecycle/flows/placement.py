"""Keeps a fleet's services in order: none emptied, none overfull while another has room."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.shards import (
    Members,
    Step,
    StepKind,
    overflow,
    steps_into,
    steps_to_balance,
    vacancies_left_by,
)
from lifecycle.decisions.states import IN_SERVICE, has_left, may_serve
from lifecycle.events import is_instance_id
from lifecycle.telemetry import LogEvent, Metric, Telemetry


@dataclass(frozen=True, slots=True)
class Standing:
    """One look: who is registered in which service, and in what state.

    ``states`` holds those that are in any Auto Scaling group; ``outsiders`` are in none, but alive
    in EC2, or no instances at all: somebody registered them, and they count as serving.
    """

    members: dict[str, frozenset[str]]
    states: dict[str, str]
    outsiders: frozenset[str]

    @property
    def in_service(self) -> frozenset[str]:
        """The instances that Auto Scaling has in service."""
        return frozenset(one for one, state in self.states.items() if state == IN_SERVICE)

    def vacancies_left_by(self, instance_id: str) -> frozenset[str]:
        """Return the services that the instance may not leave yet: nobody else there serves.

        One that has left already cannot be held: there is nobody to wait with.
        """
        if has_left(self.states.get(instance_id)):
            return frozenset()
        successors = self.in_service | self.outsiders
        return frozenset(vacancies_left_by(instance_id, self.members, successors))

    def steps_into(self, vacancies: frozenset[str]) -> list[Step]:
        """Return who has to join the vacant services, if there is anybody to spare."""
        return steps_into(vacancies, self.members, self.in_service)

    def steps_to_balance(self) -> list[Step]:
        """Return what is left to do so that no shard overflows while another has room."""
        movable = frozenset(one for one, state in self.states.items() if may_serve(state))
        return steps_to_balance(self.members, movable, self.in_service)

    def shards_of(self, instance_id: str) -> dict[str, frozenset[str]]:
        """Return the services that the instance is in, with all that are."""
        return {one: ids for one, ids in self.members.items() if instance_id in ids}

    def steps_near(self, instance_id: str) -> list[Step]:
        """Return those steps that concern the shards which the instance is in."""
        neighbours = frozenset[str]().union(*self.shards_of(instance_id).values())
        return [step for step in self.steps_to_balance() if step.instance_id in neighbours]


def look(cloud_map: CloudMap, autoscaling: AutoScaling, instances: Instances) -> Standing:
    """Look at everybody who is registered. Cloud Map is asked first: who joins later is missed."""
    members = cloud_map.members()
    registered = sorted({one for ids in members.values() for one in ids})
    own = [one for one in registered if is_instance_id(one)]
    states = autoscaling.lifecycle_states(own)
    strangers = [one for one in own if one not in states]
    alive = {one.id for one in instances.describe(strangers).values() if one.state == "running"}
    return Standing(members, states, frozenset(registered) - frozenset(own) | alive)


def services_that_need(
    instance_id: str, standing: Standing, telemetry: Telemetry, log_fields: Mapping[str, object]
) -> frozenset[str]:
    """Return the services that the instance may not leave yet; log that it waits if there are any.

    Forwarders would not notice its leaving: they ignore an empty answer, and go on sending to it.
    """
    vacancies = standing.vacancies_left_by(instance_id)
    if vacancies:
        telemetry.warning(
            LogEvent.LAST_AGGREGATOR_WAITS, **log_fields, service_ids=sorted(vacancies)
        )
    return vacancies


@dataclass(frozen=True, slots=True)
class Placement:
    """Moves instances between the services of a fleet; ``port`` is where they listen."""

    cloud_map: CloudMap
    autoscaling: AutoScaling
    instances: Instances
    port: int
    telemetry: Telemetry
    clock: Callable[[], float]

    def look(self) -> Standing:
        """Look at everybody who is registered."""
        return look(self.cloud_map, self.autoscaling, self.instances)

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Ask for every step; a repeated request stands for the operation under way."""
        for step in steps:
            operation_id = self._request(step)
            self.telemetry.info(
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
            self.telemetry.warning(LogEvent.SHARD_OVERFLOWS, sizes=sizes)
            self.telemetry.measure(Metric.SHARD_OVERFLOW, beyond)

    def _request(self, step: Step) -> str | None:
        if step.kind is StepKind.LEAVE:
            return self.cloud_map.deregister_from(step.service_id, step.instance_id)
        address = self.instances.address(step.instance_id)
        if address is None:
            return None  # gone meanwhile
        # With an id of before, Cloud Map would answer with the request of an earlier move.
        request_id = f"{step.instance_id}-{self.clock():.0f}"
        return self.cloud_map.register_in(
            step.service_id, step.instance_id, address, self.port, request_id
        )
