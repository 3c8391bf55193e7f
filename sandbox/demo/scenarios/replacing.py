"""The documented way to replace a group: a second one beside it, then without the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.demo.scenarios import acts
from sandbox.host.waiting import CheckFailed

if TYPE_CHECKING:
    from sandbox.demo.scenarios.stage import Stage

GROUPS = ("aggregators", "aggregators-green")
GREEN_SIZE = 2


def play(stage: Stage) -> None:
    """Blue goes once green takes lines; all under load."""
    blue = acts.names_in(stage.recorder.samples[-1])
    stage.recorder.phase("terraform apply: a second group, green, with a module of its own")
    stage.apply_groups(*GROUPS)
    stage.set_other_capacity(GREEN_SIZE)
    acts.wait_for_service(stage, len(blue) + GREEN_SIZE)
    stage.recorder.wait_for(
        "every aggregator of both groups to take lines",
        lambda sample: stage.all_receive(acts.names_in(sample)),
        60,
    )
    leaving = acts.leave(stage, len(blue), staying=0)
    acts.wait_for_release(stage, leaving)
    stage.recorder.phase("terraform apply: without the first group and its module")
    stage.apply_groups(GROUPS[1])
    stage.recorder.while_holding(
        "green is in service and registered",
        lambda sample: sum(one.registered for one in sample.instances) == GREEN_SIZE,
        acts.KEPT_SECONDS,
    )
    paged = sorted({one.alarm for one in stage.recorder.notifications if one.state == "ALARM"})
    if paged:
        raise CheckFailed(f"replacing the group paged: {', '.join(paged)}")
    stage.proven(
        f"The group was replaced under load: {len(leaving)} aggregators of blue were drained by "
        f"their own module, which was then removed; {GREEN_SIZE} of green stayed, and no alarm "
        "fired."
    )
