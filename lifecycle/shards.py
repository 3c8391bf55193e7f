"""Where instances belong when a fleet is spread over several services ("shards"): pure functions.

A Route 53 answer holds at most eight instances of a service
(docs.aws.amazon.com/cloud-map/latest/dg/services-route53.html, multivalue answer routing), so that
forwarders of a larger fleet would lose members at random.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from zlib import crc32

MOST_IN_A_SHARD = 8

Members = Mapping[str, AbstractSet[str]]  # instance ids by service id, in the settings' order


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
