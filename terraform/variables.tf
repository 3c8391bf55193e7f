# What to watch: the group, its service discovery, its Prometheus. The other inputs are in variables_*.tf.
#
# Conditions on an input that may be null read `var.x == null ? true : ...`. Before Terraform 1.12, `||`
# evaluates both sides, and `var.x == null || var.x.y > 0` fails on null.

variable "name" {
  type        = string
  nullable    = false
  description = <<-EOT
    Prefix of everything the module creates, and the `service` in its logs and metrics. 3 to 40
    letters, digits and hyphens, starting with a letter; unique in its account and region. Do not
    change it while an instance waits in a hook: another name replaces the hooks, and AWS completes what
    a deleted hook holds with CONTINUE, proven empty or not, whatever the group's retention policy.
  EOT

  validation {
    # The longest derived name with a limit of 64 is the role of the operation waiter (17 more).
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{1,38}[A-Za-z0-9]$", var.name))
    error_message = "name must have 3 to 40 letters, digits and hyphens, start with a letter and not end with a hyphen, so that every name derived from it fits AWS's limits."
  }
}

variable "autoscaling_group_name" {
  type        = string
  nullable    = false
  description = <<-EOT
    Name of the Auto Scaling group whose instances run Fluentd. It must exist when the hooks are
    created; for a group that is created in the same run, see the output `initial_lifecycle_hooks`.
    Another group's name replaces the hooks, as another `name` does: the instances of the group before end
    undrained, each with a page. To change the group, add a second module for the new one, scale the old
    one to 0, and then remove the first module (docs/operating.md).
  EOT

  validation {
    condition     = can(regex("^[^\\s*?:/][^*?:]{0,254}$", var.autoscaling_group_name))
    error_message = "autoscaling_group_name must be the name (not the ARN) of a group: 1 to 255 characters, without colon, asterisk or question mark."
  }
}

variable "former_group_names" {
  type        = list(string)
  default     = []
  nullable    = false
  description = <<-EOT
    Groups that this module was attached to before, and whose drains it shall finish: names, up to 5. Its
    functions may then complete and prolong lifecycle actions of these groups, too, and flush and tag
    their instances. Of use only where a hook of this module still holds instances there: Terraform
    deletes the hooks of the group before, unless they were removed from its state.
  EOT

  validation {
    condition     = alltrue([for name in var.former_group_names : can(regex("^[^\\s*?:/][^*?:]{0,254}$", name))])
    error_message = "former_group_names must be names (not ARNs) of groups: 1 to 255 characters, without colon, asterisk or question mark."
  }

  validation {
    condition     = length(var.former_group_names) <= 5 && length(setunion(var.former_group_names, [var.autoscaling_group_name])) == length(var.former_group_names) + 1
    error_message = "former_group_names must be at most 5 different groups, without autoscaling_group_name itself."
  }
}

variable "cloud_map" {
  type = object({
    service_id       = optional(string)
    namespace_id     = optional(string)
    namespace_name   = optional(string)
    create_service   = optional(bool)
    service_name     = optional(string, "_fluentd._tcp")
    shards           = optional(number, 1)
    first_shard_name = optional(string)
    dns_ttl_seconds  = optional(number, 10)
    port             = optional(number, 24224)
    hosted_zone_id   = optional(string)
    force_destroy    = optional(bool, false)
    allow_empty      = optional(bool, false)

    readiness                 = optional(string, "off")
    readiness_unknown_seconds = optional(number, 300)
  })
  default     = null
  description = <<-EOT
    Where forwarders find the aggregators. Give either `service_id` or `namespace_id`. Unset: the
    instances are in no service discovery (for example agents that only send); launches do not wait.

    - `service_id`: an existing Cloud Map service (`srv-...`) with SRV records, in which to register. The
      records' targets get A records, or AAAA records for instances without a private IPv4 address.
    - `namespace_id`: a DNS namespace (`ns-...`) in which to create such a service.
    - `namespace_name`: the namespace's domain name; only used for the output
      `forwarder_service_discovery`.
    - `create_service`: whether to create the service. Follows from `service_id` by default; set it
      to `false` when `service_id` belongs to a service created in the same run, since Terraform
      must know the answer at plan time.
    - `service_name`: name of the service to create, `_SERVICE._PROTOCOL` as RFC 2782 and Fluentd's
      `sd_srv` require it.
    - `shards`: how many such services to create, 1 to 20. One carries eight aggregators, N carry 8 x N,
      since a DNS answer holds eight. With more than one their names are `_fluentd0._tcp`,
      `_fluentd1._tcp`, ... Run at least as many aggregators as shards: a forwarder that starts while
      one of them is empty exits.
    - `first_shard_name`: another name for the first of several. A fleet that began with one service
      keeps it, and its forwarders, with `_fluentd._tcp` here.
    - `dns_ttl_seconds`: TTL of the SRV records in seconds, 1 to 3600. For an existing service give the
      TTL that it has: the time until forwarders stop sending is computed from it.
    - `port`: where aggregators accept the forward protocol, 1 to 65535.
    - `hosted_zone_id`: the namespace's Route 53 zone (`Z...`). Narrows the functions' permission to
      change records to that zone; without it they may change SRV and address records in any zone.
    - `force_destroy`: let `terraform destroy` deregister what is left in a service that the module
      created, rather than fail.
    - `allow_empty`: deregister the last aggregator of a service without waiting for a successor.
      Forwarders ignore an empty answer and go on sending to it: for groups that are being deleted.
    - `readiness`: `off` registers an instance when it launches, before it has booted; `metrics` once
      Prometheus has scraped its Fluentd. Prometheus must find targets by EC2 discovery
      (`ec2_sd_configs`), not through Cloud Map (`dns_sd_configs`): what is found only when it is
      registered is never ready before. An instance whose own target is down is not registered; if it
      stays so for `timing.operation_timeout_seconds`, the operator is paged, and its hook replaces it.
    - `readiness_unknown_seconds`: after how long without an answer (no series, Prometheus or the
      evidence function fails) it is registered all the same, with an alarm, 30 to 43200.
  EOT

  validation {
    condition     = var.cloud_map == null ? true : contains(["off", "metrics"], var.cloud_map.readiness)
    error_message = "cloud_map.readiness must be off or metrics."
  }

  validation {
    condition     = try(var.cloud_map.readiness, "off") == "off" ? true : var.prometheus != null
    error_message = "cloud_map.readiness = metrics needs prometheus: its metrics are asked for."
  }

  validation {
    condition     = var.cloud_map == null ? true : var.cloud_map.readiness_unknown_seconds >= 30 && var.cloud_map.readiness_unknown_seconds <= 43200 && floor(var.cloud_map.readiness_unknown_seconds) == var.cloud_map.readiness_unknown_seconds
    error_message = "cloud_map.readiness_unknown_seconds must be a whole number from 30 to 43200."
  }

  validation {
    condition     = var.cloud_map == null ? true : (var.cloud_map.service_id == null) != (var.cloud_map.namespace_id == null)
    error_message = "cloud_map needs either service_id (an existing service) or namespace_id (to create one there), and not both."
  }

  validation {
    condition     = try(var.cloud_map.service_id, null) == null ? true : can(regex("^srv-[A-Za-z0-9_-]+$", var.cloud_map.service_id))
    error_message = "cloud_map.service_id must be the id of a Cloud Map service, such as srv-0123456789abcdef, not its name or ARN."
  }

  validation {
    condition     = try(var.cloud_map.namespace_id, null) == null ? true : can(regex("^ns-[A-Za-z0-9_-]+$", var.cloud_map.namespace_id))
    error_message = "cloud_map.namespace_id must be the id of a Cloud Map namespace, such as ns-0123456789abcdef, not its name or ARN."
  }

  validation {
    condition = try(var.cloud_map.create_service, null) == null ? true : (
      var.cloud_map.create_service ? var.cloud_map.namespace_id != null : var.cloud_map.service_id != null
    )
    error_message = "cloud_map.create_service = true needs namespace_id, create_service = false needs service_id. Leave create_service out unless service_id is created in the same run."
  }

  validation {
    condition     = var.cloud_map == null ? true : can(regex("^_[a-z0-9-]{0,57}[a-z0-9]\\._(tcp|udp)$", var.cloud_map.service_name))
    error_message = "cloud_map.service_name must look like _fluentd._tcp (an underscore, 1 to 58 lower-case letters, digits or hyphens, no hyphen last, then ._tcp or ._udp): Fluentd's sd_srv finds no other, and Cloud Map refuses longer ones once a shard has its number."
  }

  validation {
    condition     = var.cloud_map == null ? true : var.cloud_map.shards >= 1 && var.cloud_map.shards <= 20 && floor(var.cloud_map.shards) == var.cloud_map.shards
    error_message = "cloud_map.shards must be a whole number from 1 to 20. A DNS answer holds eight instances, so N shards carry 8 x N aggregators (1: 8, 3: 24, 20: 160): divide the group's maximum size by 8 and round up."
  }

  validation {
    condition     = try(var.cloud_map.shards, 1) <= 1 ? true : var.cloud_map.namespace_id != null
    error_message = "cloud_map.shards above 1 needs namespace_id: the module creates the services. An existing service (service_id) is one shard and carries 8 aggregators."
  }

  validation {
    condition = try(var.cloud_map.first_shard_name, null) == null ? true : (
      var.cloud_map.shards > 1 && can(regex("^_[a-z0-9-]+\\._(tcp|udp)$", var.cloud_map.first_shard_name))
    )
    error_message = "cloud_map.first_shard_name must look like _fluentd._tcp and needs shards above 1: with one shard, service_name is its name."
  }

  validation {
    condition     = var.cloud_map == null ? true : var.cloud_map.dns_ttl_seconds >= 1 && var.cloud_map.dns_ttl_seconds <= 3600 && floor(var.cloud_map.dns_ttl_seconds) == var.cloud_map.dns_ttl_seconds
    error_message = "cloud_map.dns_ttl_seconds must be a whole number from 1 to 3600. Every drain waits at least this long: keep it short."
  }

  validation {
    condition     = var.cloud_map == null ? true : var.cloud_map.port >= 1 && var.cloud_map.port <= 65535 && floor(var.cloud_map.port) == var.cloud_map.port
    error_message = "cloud_map.port must be a whole number from 1 to 65535: the port of the aggregators' forward input."
  }

  validation {
    condition     = try(var.cloud_map.hosted_zone_id, null) == null ? true : can(regex("^Z[A-Z0-9]{1,31}$", var.cloud_map.hosted_zone_id))
    error_message = "cloud_map.hosted_zone_id must be the id of a Route 53 zone, such as Z0123456789ABCDEFGHIJ, without /hostedzone/ in front."
  }
}
