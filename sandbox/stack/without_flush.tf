# A group to compare with: the same forwarders, the same destination, the same Prometheus, and a
# module of its own that is not told to flush.

resource "aws_autoscaling_group" "without_flush" {
  count = var.compare_without_flush ? 1 : 0

  name                      = "${var.name}-aggregators-without-flush"
  min_size                  = 0
  max_size                  = var.max_size
  desired_capacity          = 0
  vpc_zone_identifier       = [aws_subnet.aggregators.id]
  wait_for_capacity_timeout = "0"
  force_delete              = true

  launch_template {
    id      = aws_launch_template.aggregator.id
    version = "$Latest"
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

module "without_flush" {
  source = "../../terraform"
  count  = var.compare_without_flush ? 1 : 0

  name                   = "${var.name}-without-flush"
  autoscaling_group_name = one(aws_autoscaling_group.without_flush[*].name)
  cloud_map = {
    service_id      = one(module.lifecycle.cloud_map_service_ids)
    create_service  = false
    hosted_zone_id  = one(aws_service_discovery_private_dns_namespace.logs[*].hosted_zone)
    dns_ttl_seconds = var.dns_ttl_seconds
  }
  prometheus = var.prometheus
  timing     = var.timing
  lambda     = local.lambda
  reconcile  = var.reconcile
  alarms = {
    actions          = [aws_sns_topic.on_call.arn]
    ok_actions       = [aws_sns_topic.on_call.arn]
    retention_policy = false
  }
}
