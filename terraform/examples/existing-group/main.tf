# The quickstart: an Auto Scaling group of Fluentd aggregators that you already have, a Cloud Map
# DNS namespace, a Prometheus that scrapes the aggregators, a topic that pages.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.76, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

module "fluentd_lifecycle" {
  source = "../.."

  name                   = "fluentd"
  autoscaling_group_name = "fluentd-aggregators"
  cloud_map              = { namespace_id = "ns-0123456789abcdef", namespace_name = "logs.internal" }
  prometheus             = { url = "http://prometheus.internal:9090" }
  network                = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
}

output "forwarder_service_discovery" {
  value = module.fluentd_lifecycle.forwarder_service_discovery
}
