# A group of aggregators that is created in the same run as the module, with the DNS name that
# forwarders look up: the group starts with the module's hooks, and Terraform waits for no instance.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.76, < 7.0"
    }
  }
}

# Region and credentials come from the environment.
provider "aws" {}

data "aws_subnet" "first" {
  id = var.subnet_ids[0]
}

resource "aws_service_discovery_private_dns_namespace" "logs" {
  name = var.namespace
  vpc  = data.aws_subnet.first.vpc_id
}

resource "aws_launch_template" "aggregator" {
  name_prefix   = "${var.name}-"
  image_id      = var.image_id
  instance_type = var.instance_type
}

resource "aws_autoscaling_group" "aggregators" {
  name                = "${var.name}-aggregators"
  min_size            = 1
  max_size            = 8
  vpc_zone_identifier = var.subnet_ids
  # Instances wait in the launch hook for functions that Terraform makes after the group.
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = aws_launch_template.aggregator.id
    version = aws_launch_template.aggregator.latest_version
  }

  dynamic "initial_lifecycle_hook" {
    for_each = module.fluentd_lifecycle.initial_lifecycle_hooks
    content {
      name                 = initial_lifecycle_hook.value.name
      lifecycle_transition = initial_lifecycle_hook.value.lifecycle_transition
      default_result       = initial_lifecycle_hook.value.default_result
      heartbeat_timeout    = initial_lifecycle_hook.value.heartbeat_timeout
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

module "fluentd_lifecycle" {
  source = "../.."

  name                   = var.name
  autoscaling_group_name = aws_autoscaling_group.aggregators.name
  cloud_map = {
    namespace_id   = aws_service_discovery_private_dns_namespace.logs.id
    namespace_name = aws_service_discovery_private_dns_namespace.logs.name
    hosted_zone_id = aws_service_discovery_private_dns_namespace.logs.hosted_zone
    create_service = true
  }
  prometheus = { url = var.prometheus_url }
  alarms     = { actions = var.alarm_topic_arns }
  lambda     = var.lambda
}
