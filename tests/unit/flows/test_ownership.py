"""Whose an instance is, as Auto Scaling and EC2 show it; what follows is in test_batch*.py."""

import pytest

from lifecycle.adapters.autoscaling import Membership
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.ownership import Whereabouts
from lifecycle.flows.ownership import whereabouts
from tests.support.messages import GROUP, INSTANCE_ID, NOW

TAGGED = Instance(INSTANCE_ID, "running", NOW, None, None, group=GROUP, owner="pipeline")


@pytest.mark.parametrize(
    ("member", "instance", "found"),
    [
        # The tag is a moment older than what Auto Scaling says.
        (Membership("others", "InService"), TAGGED, Whereabouts("others", "InService", "pipeline")),
        (None, TAGGED, Whereabouts(GROUP, None, "pipeline")),
        (Membership(GROUP, "Pending"), None, Whereabouts(GROUP, "Pending")),  # EC2 lags behind
        (None, None, Whereabouts(None, None)),
    ],
)
def test_auto_scaling_says_where_it_is_and_its_tag_whose(
    member: Membership | None, instance: Instance | None, found: Whereabouts
) -> None:
    assert whereabouts(member, instance) == found
