# The defaults are compressed: what takes minutes on AWS takes seconds here.

variable "name" {
  type        = string
  default     = "fluentd"
  description = "Prefix of everything, the module's included."
}

variable "subnet_cidr_block" {
  type        = string
  description = "The cloud's own network inside 127.0.0.0/8."
}

variable "namespace" {
  type        = string
  default     = "logs.internal"
  description = "The domain that forwarders look in."
}

variable "dns_ttl_seconds" {
  type        = number
  default     = 1
  description = "TTL of the aggregators' records."
}

variable "max_size" {
  type        = number
  default     = 20
  description = "The most instances the group can have."
}

variable "cloud_map" {
  type        = bool
  default     = true
  description = "Whether there is a namespace in which forwarders find the aggregators."
}

variable "shards" {
  type        = number
  default     = 1
  description = "The module's `cloud_map.shards`."
}

variable "flush" {
  type        = any
  default     = null
  description = "The module's `flush`."
}

variable "prometheus" {
  type        = any
  default     = null
  description = "The module's `prometheus`; `url` at least."
}

variable "groups" {
  type        = list(string)
  default     = ["aggregators"]
  description = "The groups, by the ends of their names. Each has a module of its own."
}

variable "shared_service" {
  type        = bool
  default     = false
  description = "Whether the Cloud Map service exists outside of the modules, as several of them need it."
}

variable "timing" {
  type        = any
  default     = {}
  description = "The module's `timing`."
}

# Schedules do not run on the local cloud: a scenario that needs the reconciler invokes it. The
# interval is one that the shortest heartbeat timeouts of a scenario allow.
variable "reconcile" {
  type        = any
  default     = { interval_minutes = 1, grace_seconds = 10 }
  description = "The module's `reconcile`."
}

variable "lambda" {
  type        = any
  default     = {}
  description = "The module's `lambda`; `package.local_path`, `architecture` and `runtime` at least."
}
