# What a user of the module already has, made on the local cloud: a network, a namespace that
# forwarders ask, a group of aggregators, a bucket for their logs, a topic for alarms.
# The module under test is attached to it exactly as its README says.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.76, < 7.0"
    }
  }
}

# Endpoints, region and credentials come from the environment.
provider "aws" {
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  # One emulator listens on one port: no host name for each bucket.
  s3_use_path_style = true
}

module "lifecycle" {
  source   = "../../terraform"
  for_each = toset(var.groups)

  name                   = trimsuffix("${var.name}-${trimprefix(trimprefix(each.key, "aggregators"), "-")}", "-")
  autoscaling_group_name = aws_autoscaling_group.aggregators[each.key].name
  cloud_map = !var.cloud_map ? null : {
    service_id      = one(aws_service_discovery_service.shared[*].id)
    create_service  = !var.shared_service
    namespace_id    = var.shared_service ? null : one(aws_service_discovery_private_dns_namespace.logs[*].id)
    namespace_name  = var.shared_service ? null : one(aws_service_discovery_private_dns_namespace.logs[*].name)
    hosted_zone_id  = one(aws_service_discovery_private_dns_namespace.logs[*].hosted_zone)
    dns_ttl_seconds = var.dns_ttl_seconds
    shards          = var.shards
    force_destroy   = !var.shared_service
  }
  # The group to compare with is not flushed.
  flush      = endswith(each.key, "-without-flush") ? null : var.flush
  prometheus = var.prometheus
  timing     = var.timing
  lambda     = local.lambda
  reconcile  = var.reconcile
  alarms = {
    actions    = [aws_sns_topic.on_call.arn]
    ok_actions = [aws_sns_topic.on_call.arn]
    # The group does not retain, on purpose: a run shows how an unproven instance ends.
    retention_policy = false
  }
}
