# How the functions run, where, and which alarm actions page the operator.

variable "lambda" {
  type = object({
    package = optional(object({
      local_path = optional(string)
      s3 = optional(object({
        bucket         = string
        key            = string
        object_version = optional(string)
      }))
    }), {})
    architecture                     = optional(string, "arm64")
    runtime                          = optional(string, "python3.13")
    memory_mb                        = optional(number, 256)
    handler_timeout_seconds          = optional(number, 30)
    operation_waiter_timeout_seconds = optional(number, 60)
    flush_waiter_timeout_seconds     = optional(number)
    buffer_waiter_timeout_seconds    = optional(number, 60)
    maximum_concurrency              = optional(number, 5)
    reserved_concurrency             = optional(number)
    log_level                        = optional(string, "INFO")
    log_retention_days               = optional(number, 90)
    environment                      = optional(map(string), {})
  })
  default     = {}
  nullable    = false
  description = <<-EOT
    How the functions run.

    - `package.local_path`: the zip to upload. By default the one that a release brings along in
      `package/`, or in a checkout the one that `make package` builds for the architecture and
      runtime, `build/package/fluentd-lifecycle-ARCHITECTURE-RUNTIME.zip` next to this module's folder.
    - `package.s3`: `bucket`, `key` and `object_version` of a zip in S3 instead. Without
      `object_version`, Terraform does not notice a new object under the same key.
    - `architecture`: `arm64` or `x86_64`; the package must be built for it.
    - `runtime`: `python3.11` to `python3.14`; the package must be built for it. `python3.14` needs
      provider 6.20 or later; an earlier one refuses it in the plan.
    - `memory_mb`: memory of each function, 128 to 10240.
    - `handler_timeout_seconds`, `operation_waiter_timeout_seconds`, `flush_waiter_timeout_seconds`,
      `buffer_waiter_timeout_seconds`: the longest run of each function, 1 to 900. By default the flush
      waiter has 90 s, or `flush.command_timeout_seconds` + 10 if that is longer.
    - `maximum_concurrency`: how many batches (of up to 10 instances) a stage may work on at once, 2
      to 1000.
    - `reserved_concurrency`: concurrency reserved for each function, which is also its limit. Unset:
      shared with the rest of the account.
    - `log_level`: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
    - `log_retention_days`: how long logs are kept, one of the values that CloudWatch Logs offers.
    - `environment`: further environment variables of every function, such as `HTTPS_PROXY` and `NO_PROXY`
      (which is for Prometheus, too) or `AWS_USE_FIPS_ENDPOINT`. Not for secrets.
  EOT

  validation {
    condition     = var.lambda.package.local_path == null || var.lambda.package.s3 == null
    error_message = "lambda.package takes local_path or s3, not both; leave both out for the zip that `make package` builds."
  }

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda.architecture)
    error_message = "lambda.architecture must be arm64 or x86_64, and the package built for it: make package ARCHITECTURE=..."
  }

  validation {
    condition     = contains(["python3.11", "python3.12", "python3.13", "python3.14"], var.lambda.runtime)
    error_message = "lambda.runtime must be python3.11, python3.12, python3.13 or python3.14, and the package built for it: make package PYTHON_VERSION=..."
  }

  validation {
    condition     = var.lambda.memory_mb >= 128 && var.lambda.memory_mb <= 10240 && floor(var.lambda.memory_mb) == var.lambda.memory_mb
    error_message = "lambda.memory_mb must be a whole number from 128 to 10240."
  }

  validation {
    condition = alltrue([
      for seconds in [var.lambda.handler_timeout_seconds, var.lambda.operation_waiter_timeout_seconds, var.lambda.flush_waiter_timeout_seconds, var.lambda.buffer_waiter_timeout_seconds] :
      seconds == null ? true : seconds >= 1 && seconds <= 900 && floor(seconds) == seconds
    ])
    error_message = "lambda.handler_timeout_seconds, operation_waiter_timeout_seconds, flush_waiter_timeout_seconds and buffer_waiter_timeout_seconds must be whole numbers from 1 to 900, the limits of Lambda."
  }

  validation {
    condition     = var.lambda.maximum_concurrency >= 2 && var.lambda.maximum_concurrency <= 1000 && floor(var.lambda.maximum_concurrency) == var.lambda.maximum_concurrency
    error_message = "lambda.maximum_concurrency must be a whole number from 2 to 1000, the limits of an SQS event source."
  }

  validation {
    condition     = var.lambda.reserved_concurrency == null ? true : var.lambda.reserved_concurrency >= var.lambda.maximum_concurrency
    error_message = "lambda.reserved_concurrency must not be smaller than lambda.maximum_concurrency: throttled batches would use up their messages' deliveries. Raise it, or leave it out."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.lambda.log_level)
    error_message = "lambda.log_level must be DEBUG, INFO, WARNING or ERROR."
  }

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.lambda.log_retention_days)
    error_message = "lambda.log_retention_days must be a value that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }

  validation {
    condition = alltrue([
      for name in keys(var.lambda.environment) :
      can(regex("^[A-Za-z][A-Za-z0-9_]+$", name)) && !can(regex("^(AWS_(REGION|DEFAULT_REGION|ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|EXECUTION_ENV|LAMBDA_.*)|LAMBDA_.*)$", name))
    ])
    error_message = "lambda.environment: names are letters, digits and underscores, two characters at least, begin with a letter, and are none that Lambda sets itself (AWS_REGION, AWS_LAMBDA_..., LAMBDA_..., credentials)."
  }

  validation {
    condition     = length(jsonencode(var.lambda.environment)) <= 1000
    error_message = "lambda.environment must have at most 1000 characters as JSON: Lambda allows 4 KB for all variables of a function, and the module sets most of them."
  }
}

variable "network" {
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default     = null
  description = <<-EOT
    Where the evidence function runs, if Prometheus can only be reached from inside a VPC. Without
    `prometheus.auth` the subnets need no way to AWS; with a secret they need one to Secrets Manager or
    SSM (an endpoint or NAT). No other function is in the VPC. Unset: outside any VPC.

    - `subnet_ids`: at least one, preferably in several availability zones.
    - `security_group_ids`: at least one; it must allow traffic out to Prometheus (and to that endpoint's port
      443).
  EOT

  validation {
    condition     = var.network == null ? true : length(var.network.subnet_ids) > 0 && alltrue([for id in var.network.subnet_ids : can(regex("^subnet-[0-9a-z]+$", id))])
    error_message = "network.subnet_ids must hold at least one subnet id (subnet-...); leave network out to run outside any VPC."
  }

  validation {
    condition     = var.network == null ? true : length(var.network.security_group_ids) > 0 && alltrue([for id in var.network.security_group_ids : can(regex("^sg-[0-9a-z]+$", id))])
    error_message = "network.security_group_ids must hold at least one security group id (sg-...); leave network out to run outside any VPC."
  }
}

variable "alarms" {
  type = object({
    actions          = list(string)
    ok_actions       = optional(list(string), [])
    runbook_base_url = optional(string)
    retention_policy = optional(bool, true)
  })
  nullable    = false
  description = <<-EOT
    Actions of the alarms. An instance that is not proven empty in time waits for an operator, who must be
    paged.

    - `actions`: ARNs to notify when an alarm fires, usually one SNS topic of this region; 1 to 5.
      CloudWatch cannot publish to a topic that is encrypted with `alias/aws/sns`: nothing fails, and
      no page comes. Encrypt with a key of your own, whose policy allows `cloudwatch.amazonaws.com`
      both `kms:Decrypt` and `kms:GenerateDataKey*`, or not at all.
    - `ok_actions`: ARNs to notify when it is over; up to 5.
    - `runbook_base_url`: where `docs/runbooks` of this repository can be read; every alarm's
      description ends with `RUNBOOK_BASE_URL/NAME.md`. By default the release's own; in a checkout the
      path in the repository.
    - `retention_policy`: whether a group without an instance lifecycle policy that retains on abandon
      is an alarm.
  EOT

  validation {
    condition     = length(var.alarms.actions) >= 1 && length(var.alarms.actions) <= 5
    error_message = "alarms.actions must name 1 to 5 ARNs, such as an SNS topic: without a page, an instance is lost when its hook times out."
  }

  validation {
    condition     = length(var.alarms.ok_actions) <= 5
    error_message = "alarms.ok_actions must name at most 5 ARNs, the limit of CloudWatch."
  }

  validation {
    condition     = alltrue([for arn in concat(var.alarms.actions, var.alarms.ok_actions) : can(regex("^arn:[^:]+:[^:]+:", arn))])
    error_message = "alarms.actions and alarms.ok_actions must hold ARNs (arn:aws:sns:REGION:ACCOUNT:TOPIC)."
  }

  validation {
    condition     = var.alarms.runbook_base_url == null ? true : can(regex("^[^\\s]{1,200}[^\\s/]$", var.alarms.runbook_base_url))
    error_message = "alarms.runbook_base_url must be an address (or a path) of at most 201 characters, without spaces and without a slash at its end."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "Tags for everything that the module creates and AWS can tag, in addition to the provider's default tags."

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) <= 128 && length(value) <= 256 && !startswith(lower(key), "aws:")])
    error_message = "tags: keys have at most 128 characters and do not start with aws:, values have at most 256."
  }
}
