output "autoscaling_group_name" {
  value = aws_autoscaling_group.aggregators.name
}

output "forwarder_service_discovery" {
  value = module.fluentd_lifecycle.forwarder_service_discovery
}

output "function_names" {
  value = module.fluentd_lifecycle.function_names
}

output "cloud_map_service_ids" {
  value = module.fluentd_lifecycle.cloud_map_service_ids
}
