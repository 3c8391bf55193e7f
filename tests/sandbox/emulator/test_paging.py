"""Paged answers may be as short as AWS allows: only a missing NextToken says that one is whole."""

from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from tests.sandbox.emulator.conftest import Cloud

GROUP = "aggregators"
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "DescribeAutoScalingInstances": ("autoscaling", "AutoScalingInstances", {}),
    "DescribeAutoScalingGroups": ("autoscaling", "AutoScalingGroups", {}),
    "DescribeWarmPool": ("autoscaling", "Instances", {"AutoScalingGroupName": GROUP}),
    "DescribeInstances": ("ec2", "Reservations", {}),
    "ListInstances": ("cloud_map", "Instances", {}),
}


@pytest.fixture
def cloud(cloud_with_service: Cloud) -> Cloud:
    """Three groups, two instances with a reservation each, two in a pool, two registered."""
    cloud = cloud_with_service
    cloud.create_group(1, MaxSize=2)
    cloud.scale_to(2)
    for name in ("second", "third"):
        cloud.create_group(0, AutoScalingGroupName=name)
    cloud.autoscaling.put_warm_pool(AutoScalingGroupName=GROUP, MaxGroupPreparedCapacity=4)
    for instance_id in cloud.states():
        cloud.register(instance_id)
    cloud.pass_time(5)
    return cloud


def ask(cloud: Cloud, action: str, **more: Any) -> Any:
    client, _, parameters = CALLS[action]
    if action == "ListInstances":
        parameters = {"ServiceId": cloud.service_id}
    return getattr(getattr(cloud, client), xform_name(action))(**parameters, **more)


def pages(cloud: Cloud, action: str, **more: Any) -> list[list[Any]]:
    member, found = CALLS[action][1], []
    answer = ask(cloud, action, **more)
    found.append(answer[member])
    while "NextToken" in answer:
        answer = ask(cloud, action, NextToken=answer["NextToken"], **more)
        found.append(answer[member])
    return found


@pytest.mark.parametrize("action", CALLS)
def test_first_pages_are_as_short_as_they_are_set_to_be_and_nothing_is_left_out(
    cloud: Cloud, action: str
) -> None:
    [whole] = pages(cloud, action)
    cloud.world.faults.short_pages = [0, 1]
    first, second, *rest = pages(cloud, action)
    assert (first, len(second)) == ([], 1)
    assert second + [one for page in rest for one in page] == whole


@pytest.mark.parametrize("action", CALLS)
def test_a_last_page_can_be_empty(cloud: Cloud, action: str) -> None:
    cloud.world.faults.short_pages = [50]
    assert pages(cloud, action)[-1] == []


@pytest.mark.parametrize("action", CALLS)
def test_a_page_has_no_more_than_the_caller_wants(cloud: Cloud, action: str) -> None:
    limit = "MaxResults" if action in {"DescribeInstances", "ListInstances"} else "MaxRecords"
    [whole] = pages(cloud, action)
    found = pages(cloud, action, **{limit: 1})
    assert [len(page) for page in found] == [1] * len(whole)
    assert [one for page in found for one in page] == whole


@pytest.mark.parametrize("action", CALLS)
def test_a_token_that_is_none_is_refused(cloud: Cloud, action: str) -> None:
    with pytest.raises(ClientError, match="NextToken value is not valid"):
        ask(cloud, action, NextToken="another-cloud's")
