output "autoscaling_group_name" {
  value = aws_autoscaling_group.aggregators[var.groups[0]].name
}

output "bucket" {
  value = aws_s3_bucket.logs.bucket
}

output "namespace" {
  value = one(aws_service_discovery_private_dns_namespace.logs[*].name)
}

output "on_call" {
  description = "Where alarms end up."
  value       = { topic_arn = aws_sns_topic.on_call.arn, queue_url = aws_sqs_queue.on_call.url }
}

output "module" {
  description = "Everything the module says about itself."
  value       = module.lifecycle[var.groups[0]]
}

output "other" {
  description = "The same of the second group, if there is one."
  value = length(var.groups) < 2 ? null : {
    autoscaling_group_name = aws_autoscaling_group.aggregators[var.groups[1]].name
    module                 = module.lifecycle[var.groups[1]]
  }
}
