"""The snapshot: whom the reconciler sees, and whose they are."""

from lifecycle.decisions.ownership import Ownership
from lifecycle.decisions.reconcile import Snapshot
from lifecycle.flows.survey import Survey
from lifecycle.settings import ReconcilerSettings, load_settings
from tests.support import environments
from tests.support.messages import INSTANCE_ID, OTHER_INSTANCE_ID
from tests.support.parts import MODULE, Parts, fleet, members


def snapshot(parts: Parts, *, in_cloud_map: bool = True) -> Snapshot:
    settings = load_settings(ReconcilerSettings, environments.reconciler())
    cloud_map = parts.discovery.cloud_map if in_cloud_map else None
    return Survey(
        settings, MODULE, parts.autoscaling, parts.instances, cloud_map, parts.runtime
    ).snapshot()


def test_a_member_is_seen_with_its_state_and_its_registration() -> None:
    seen = snapshot(fleet({INSTANCE_ID: "InService", OTHER_INSTANCE_ID: "Standby"}, INSTANCE_ID))
    assert seen.in_service == [INSTANCE_ID]
    assert {one: seen.sightings[one].is_registered for one in seen.sightings} == {
        INSTANCE_ID: True,
        OTHER_INSTANCE_ID: False,
    }


def test_one_that_is_registered_and_in_another_group_is_looked_up_there() -> None:
    parts = fleet(
        {},
        INSTANCE_ID,
        describe_auto_scaling_instances=members({INSTANCE_ID: "InService"}, group="another-group"),
    )
    [sighting] = snapshot(parts).sightings.values()
    assert (sighting.state, sighting.is_elsewhere) == (None, True)
    assert sighting.ownership is not Ownership.LEFT


def test_what_is_registered_by_another_owner_under_another_kind_of_name_is_left_out() -> None:
    parts = fleet({}, "their-server", describe_instances={"Reservations": []})
    assert snapshot(parts).sightings == {}


def test_without_service_discovery_nothing_is_registered() -> None:
    seen = snapshot(fleet({INSTANCE_ID: "InService"}, INSTANCE_ID), in_cloud_map=False)
    assert seen.registered == []
