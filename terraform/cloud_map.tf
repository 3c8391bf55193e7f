# Where forwarders find the aggregators: an SRV service with one record an instance. An existing
# service is used if its id is given, otherwise one is made in the namespace. Without `cloud_map`
# there is none, and nothing to register in.
#
# Cloud Map refuses to delete a service that still has instances. That refusal is left in place by
# default: whoever destroys the module while aggregators are registered would empty the SRV answer,
# and a forwarder that restarts with an empty answer exits. Scale the group in first, or set
# cloud_map.force_destroy.

locals {
  create_cloud_map_service = !local.uses.operation ? false : (
    var.cloud_map.create_service != null ? var.cloud_map.create_service : var.cloud_map.service_id == null
  )
  cloud_map_service_id  = local.create_cloud_map_service ? aws_service_discovery_service.this[0].id : (local.uses.operation ? var.cloud_map.service_id : null)
  cloud_map_service_arn = !local.uses.operation ? null : "arn:${local.partition}:servicediscovery:${local.region}:${local.account_id}:service/${local.cloud_map_service_id}"

  cloud_map_environment = { for key, id in { CLOUD_MAP_SERVICE_ID = local.cloud_map_service_id } : key => id if local.uses.operation }
}

resource "aws_service_discovery_service" "this" {
  count = local.create_cloud_map_service ? 1 : 0

  name          = var.cloud_map.service_name
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

  tags = var.tags
}
