# A group to compare with: the same forwarders, the same destination, the same Prometheus, and a
# module of its own, without `flush`.

module "without_flush" {
  source = "../../terraform"
  count  = var.compare_without_flush ? 1 : 0

  name                   = "${var.name}-without-flush"
  autoscaling_group_name = aws_autoscaling_group.aggregators["aggregators-without-flush"].name
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
