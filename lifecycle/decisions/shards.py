"""Who belongs where in service discovery, in one or in several services: pure functions.

A Route 53 answer holds at most eight instances of a service
(docs.aws.amazon.com/cloud-map/latest/dg/services-route53.html, multivalue answer routing), so that
forwarders of a larger fleet would lose members at random: such a fleet is spread over several
services, "shards". And forwarders ignore an empty answer and keep sending to the last member of a
shard, so it cannot simply be removed.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from lifecycle.decisions.states import has_left, is_in_service, may_serve

MOST_IN_A_SHARD = 8

Members = Mapping[str, AbstractSet[str]]  # instance ids by service id, in the settings' order


class StepKind(StrEnum):
    """What an instance has to do."""

    JOIN = "join"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Step:
    """Half a move of an instance from one shard to another.

    It joins the new one first and leaves the old one only when it is seen in the new one: the other
    way round forwarders would lose it in between. Being in both is harmless: Fluentd takes them for
    two targets, since the SRV target's name is part of what it compares (fluent/plugin/sd_srv.rb,
    ``Service#discovery_id``), so that the end of one leaves the other alone.
    """

    kind: StepKind
    instance_id: str
    service_id: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One snapshot: who is registered in which service, and in what lifecycle state.

    ``states`` holds those that are in any Auto Scaling group; ``outsiders`` are in none, but run in
    EC2, or are no instances at all: registered by others, they count as serving. Only ``own``, the
    members of our group, are ever moved.
    """

    members: dict[str, frozenset[str]]
    states: dict[str, str]
    outsiders: frozenset[str]
    own: frozenset[str]

    @property
    def in_service(self) -> frozenset[str]:
        """The instances that Auto Scaling has in service."""
        return frozenset(one for one, state in self.states.items() if is_in_service(state))

    def vacancies_left_by(
        self, instance_id: str, leaving: AbstractSet[str] = frozenset()
    ) -> frozenset[str]:
        """Return the services that the instance may not leave yet: no other instance serves there.

        ``leaving`` are in service, and do not count. An instance that has left cannot be held.
        """
        if has_left(self.states.get(instance_id)):
            return frozenset()
        successors = (self.in_service - leaving) | self.outsiders
        homes = self.shards_of(instance_id).items()
        return frozenset(one for one, ids in homes if not (ids - {instance_id}) & successors)

    def steps_into(self, vacancies: frozenset[str]) -> list[Step]:
        """Return which instances have to join the vacant services, if one can be spared."""
        return steps_into(vacancies, self.members, self.in_service & self.own)

    def steps_to_balance(self) -> list[Step]:
        """Return what is left to do so that no shard overflows while another has room."""
        movable = frozenset(one for one in self.own if may_serve(self.states[one]))
        return steps_to_balance(self.members, movable, self.in_service & self.own)

    def shards_of(self, instance_id: str) -> dict[str, frozenset[str]]:
        """Return the services that the instance is in, with all that are."""
        return {one: ids for one, ids in self.members.items() if instance_id in ids}

    def steps_near(self, instance_id: str) -> list[Step]:
        """Return those steps that concern the shards which the instance is in."""
        neighbours = frozenset[str]().union(*self.shards_of(instance_id).values())
        return [step for step in self.steps_to_balance() if step.instance_id in neighbours]


def shard_for(instance_id: str, members: Members) -> str:
    """Return the service to register in: the one it is in already, otherwise the emptiest.

    Of equally empty ones a hash of the id chooses, so that instances that launch together, and all
    see the same, do not all choose the first.
    """
    for service_id, instance_ids in members.items():
        if instance_id in instance_ids:
            return service_id
    fewest = min(len(instance_ids) for instance_ids in members.values())
    emptiest = [service_id for service_id, ids in members.items() if len(ids) == fewest]
    return emptiest[crc32(instance_id.encode()) % len(emptiest)]


def overflow(members: Members) -> int:
    """Return how many instances are beyond eight in their shard: forwarders lose some of them."""
    return sum(max(0, len(ids) - MOST_IN_A_SHARD) for ids in members.values())


def steps_into(
    vacancies: AbstractSet[str], members: Members, in_service: AbstractSet[str]
) -> list[Step]:
    """Find an instance for each vacancy in a shard that has two or more in service.

    Of the fullest such shard the one with the highest id moves: each caller gets the same answer.
    """
    serving = [ids & in_service for name, ids in members.items() if name not in vacancies]
    fullest = max(serving, key=len, default=frozenset[str]())
    if not fullest - {max(fullest, default="")}:
        return []  # none, or none that can be spared
    return [Step(StepKind.JOIN, max(fullest), one) for one in members if one in vacancies]


def steps_to_balance(
    members: Members, movable: AbstractSet[str], in_service: AbstractSet[str]
) -> list[Step]:
    """Return what is left to do so that no shard has more than eight while another has room.

    ``movable`` are those in service or on their way there; those on their way out are left to
    their own pipeline. First every move under way is finished: an instance in several shards leaves
    the fullest of them, unless it alone is in service there. Then the surplus moves on: newcomers
    before those in service, the highest ids first, so that each caller decides the same.
    Last, a shard without an instance in service gets one that can be spared: a forwarder that
    starts with an empty answer exits.
    """
    placed = {service_id: set(ids) for service_id, ids in members.items()}
    leaves = list(_leaves(placed, movable, in_service))
    surplus = list(_joins(placed, movable, in_service))
    return [*leaves, *surplus, *_fillings(placed, movable, in_service)]


def _leaves(
    placed: dict[str, set[str]], movable: AbstractSet[str], in_service: AbstractSet[str]
) -> Iterator[Step]:
    for instance_id in sorted(movable):
        homes = [service_id for service_id, ids in placed.items() if instance_id in ids]
        for service_id in sorted(homes, key=lambda home: -len(placed[home])):
            others = placed[service_id] - {instance_id}
            is_needed = instance_id in in_service and not others & in_service
            if len(homes) > 1 and not is_needed:
                homes.remove(service_id)
                placed[service_id] = others
                yield Step(StepKind.LEAVE, instance_id, service_id)


def _joins(
    placed: dict[str, set[str]], movable: AbstractSet[str], in_service: AbstractSet[str]
) -> Iterator[Step]:
    for ids in list(placed.values()):
        candidates = sorted(ids & movable, key=lambda one: (one in in_service, _descending(one)))
        for instance_id in candidates:
            emptiest = min(placed, key=lambda service_id: len(placed[service_id]))
            if len(ids) <= MOST_IN_A_SHARD or len(placed[emptiest]) >= MOST_IN_A_SHARD:
                break
            if instance_id not in placed[emptiest]:
                ids.discard(instance_id)
                placed[emptiest].add(instance_id)
                yield Step(StepKind.JOIN, instance_id, emptiest)


def _fillings(
    placed: dict[str, set[str]], movable: AbstractSet[str], in_service: AbstractSet[str]
) -> Iterator[Step]:
    for service_id, ids in placed.items():
        if not ids & movable:
            for step in steps_into({service_id}, placed, in_service):
                source = max(placed.values(), key=lambda held: len(held & in_service))
                source.discard(step.instance_id)
                ids.add(step.instance_id)
                yield step


def _descending(text: str) -> tuple[int, ...]:
    return tuple(-ord(character) for character in text)
