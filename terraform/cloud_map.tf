# Where forwarders find the aggregators: an SRV service with one record for each instance. If the id of
# an existing service is given, it is used; otherwise one is created in the namespace. Without
# `cloud_map` there is none.
#
# A Route 53 answer holds at most eight instances of a service, chosen at random if there are more
# (AWS Cloud Map Developer Guide, multivalue answer routing): forwarders of a larger fleet would lose
# members at every refresh. `cloud_map.shards` creates several services; the functions spread the
# instances over them, and forwarders query each.
#
# Quotas that a larger fleet meets: services and instances per namespace (Service Quotas, AWS Cloud
# Map), and Route 53's five record changes a second per account, which all registrations and
# deregistrations share.
#
# Cloud Map refuses to delete a service that still has instances. The module keeps that refusal by
# default: an emptied SRV answer makes a forwarder exit when it restarts. Scale the group in first, or
# set cloud_map.force_destroy.

locals {
  create_cloud_map_services = !local.uses.operation ? false : (
    var.cloud_map.create_service != null ? var.cloud_map.create_service : var.cloud_map.service_id == null
  )

  # `_fluentd._tcp`, or `_fluentd0._tcp`, `_fluentd1._tcp`, ...
  cloud_map_service_names = !local.uses.operation ? [] : var.cloud_map.shards == 1 ? [var.cloud_map.service_name] : [
    for shard in range(var.cloud_map.shards) : (
      shard == 0 && var.cloud_map.first_shard_name != null
      ? var.cloud_map.first_shard_name
      : replace(var.cloud_map.service_name, ".", "${shard}.")
    )
  ]

  cloud_map_service_ids = local.create_cloud_map_services ? aws_service_discovery_service.this[*].id : (
    local.uses.operation ? [var.cloud_map.service_id] : []
  )
  cloud_map_service_arns = [
    for id in local.cloud_map_service_ids : "arn:${local.partition}:servicediscovery:${local.region}:${local.account_id}:service/${id}"
  ]
}

resource "aws_service_discovery_service" "this" {
  count = local.create_cloud_map_services ? var.cloud_map.shards : 0

  name          = local.cloud_map_service_names[count.index]
  description   = "Fluentd aggregators of ${var.autoscaling_group_name}"
  force_destroy = var.cloud_map.force_destroy

  dns_config {
    namespace_id = var.cloud_map.namespace_id
    # Several records in one answer; WEIGHTED would send all forwarders to one aggregator at a time.
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "SRV"
      ttl  = var.cloud_map.dns_ttl_seconds
    }
  }

  tags = local.tags
}
