"""Whose an instance is. The one place where that is decided; every function asks it.

Where an instance is now is not enough: a group is replaced, an instance is detached, and what was
registered or drained there would belong to no module. So each module writes its name on what it
takes over, beside the first state tag. Being in a shared Cloud Map service says nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from lifecycle.decisions.states import may_serve


@dataclass(frozen=True, slots=True)
class Module:
    """This module: its ``name``, which instances carry as their owner, and its group."""

    name: str
    group: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where an instance is: by Auto Scaling, else by the tag that Auto Scaling writes on it.

    ``group`` is None for none; ``state`` is its lifecycle state there, None once Auto Scaling does
    not know it; ``owner`` is the module that its own tag names.
    """

    group: str | None
    state: str | None
    owner: str | None = None


class Ownership(StrEnum):
    """Whose an instance is, and what this module may do with it."""

    MEMBER = "member"  # of our group: ours, whatever its tags say
    LEFT = "left"  # ours by its tag, and out of our group: reported, drained only under our hook
    SERVES_ELSEWHERE = "serves_elsewhere"  # the same, but another group's: reported, not touched
    FOREIGN = "foreign"

    @property
    def may_be_touched(self) -> bool:
        """Tell whether this module may deregister, flush, drain and complete it."""
        return self in {Ownership.MEMBER, Ownership.LEFT}

    @property
    def is_out_of_group(self) -> bool:
        """Tell whether it is ours by its tag alone."""
        return self in {Ownership.LEFT, Ownership.SERVES_ELSEWHERE}


def ownership_of(module: Module, found: Whereabouts) -> Ownership:
    """Return whose an instance is.

    A state tag without an owner, of a version before, counts in the module's own group only.
    """
    if found.group == module.group:
        return Ownership.MEMBER
    if found.owner != module.name:
        return Ownership.FOREIGN
    return Ownership.SERVES_ELSEWHERE if may_serve(found.state) else Ownership.LEFT


def may_be_ours(module: Module, found: Whereabouts) -> bool:
    """Tell whether Auto Scaling has to be asked: EC2's tags alone show no foreign instance."""
    return found.group in {None, module.group} or found.owner == module.name
