variable "name" {
  type        = string
  default     = "fluentd"
  description = "Name of the module, and prefix of the group's."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Subnets of the aggregators, all of one VPC."
}

variable "image_id" {
  type        = string
  description = "An image whose Fluentd listens on 24224 and exposes its metrics to Prometheus."
}

variable "instance_type" {
  type        = string
  default     = "c6g.large"
  description = "Instance type of the aggregators."
}

variable "namespace" {
  type        = string
  default     = "logs.internal"
  description = "The private DNS domain that forwarders look in; it is created."
}

variable "prometheus_url" {
  type        = string
  description = "The Prometheus that scrapes the aggregators."
}

variable "alarm_topic_arns" {
  type        = list(string)
  description = "SNS topics that page."
}

variable "lambda" {
  type        = any
  default     = {}
  description = "The module's `lambda`: a package from elsewhere, for example."
}
