# A fleet of web servers whose Fluentd agents upload to S3 once an hour, and whose last hour reaches S3
# before an instance ends. The fleet is in fleet.tf, the agents' configuration in fluentd.conf; this
# is the module that flushes them. See README.md for a walk through it.

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
  region = var.region
}

variable "region" {
  type        = string
  default     = "eu-west-1"
  description = "Where everything is made."
}

variable "name" {
  type        = string
  default     = "web-logs"
  description = "Prefix of everything that is made."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Subnets for the instances, with a way out to the internet (or VPC endpoints for SSM, S3 and the package mirrors)."
}

variable "on_call_email" {
  type        = string
  description = "Notified when an instance could not be flushed. The address gets a message to confirm."
}

variable "desired_capacity" {
  type        = number
  default     = 2
  description = "How many web servers there are; at most 4."
}

variable "lambda_package" {
  type        = string
  default     = null
  description = "The zip of the functions; by default the one that `make package` builds."
}

module "fluentd_lifecycle" {
  source = "../.."

  name                   = var.name
  autoscaling_group_name = aws_autoscaling_group.web.name

  # No cloud_map: no forwarder looks an agent up. No prometheus: the disk is the evidence.
  flush = {
    buffer_paths = [local.fluentd_root_dir]
    backup_paths = [] # no <secondary>
  }

  lambda = { package = { local_path = var.lambda_package } }
  alarms = { actions = [aws_sns_topic.on_call.arn] }
}

resource "aws_sns_topic" "on_call" {
  name = "${var.name}-on-call"
}

resource "aws_sns_topic_subscription" "on_call" {
  topic_arn = aws_sns_topic.on_call.arn
  protocol  = "email"
  endpoint  = var.on_call_email
}

output "autoscaling_group_name" {
  description = "The web servers."
  value       = aws_autoscaling_group.web.name
}

output "bucket" {
  description = "Where the logs end up."
  value       = aws_s3_bucket.logs.bucket
}

output "flush_document_name" {
  description = "The SSM document that flushes an instance and tells what is left."
  value       = module.fluentd_lifecycle.flush_document_name
}

output "flush_log_group_name" {
  description = "Where each verdict on an instance is logged."
  value       = module.fluentd_lifecycle.log_group_names["flush"]
}
