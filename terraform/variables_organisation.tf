# What an organisation's rules ask of everything that is created in its accounts.

variable "iam" {
  type = object({
    permissions_boundary_arn = optional(string)
    role_path                = optional(string, "/")
  })
  default     = {}
  nullable    = false
  description = <<-EOT
    How the functions' roles are created.

    - `permissions_boundary_arn`: the policy that bounds every role, where the account demands one. It must
      let through what the functions do: an action that it leaves out fails at the first drain.
    - `role_path`: the path of the roles, `/` or `/TEXT/`.
  EOT

  validation {
    condition     = var.iam.permissions_boundary_arn == null ? true : can(regex("^arn:[^:]+:iam::([0-9]{12}|aws):policy/[^*]+$", var.iam.permissions_boundary_arn))
    error_message = "iam.permissions_boundary_arn must be the ARN of an IAM policy, such as arn:aws:iam::ACCOUNT:policy/boundary."
  }

  validation {
    condition     = can(regex("^/([!-.0-~]+/)*$", var.iam.role_path)) && length(var.iam.role_path) <= 512
    error_message = "iam.role_path must be / or begin and end with a slash, such as /service/fluentd/, in at most 512 characters."
  }
}

variable "encryption" {
  type = object({
    kms_key_arn = string
  })
  default     = null
  description = <<-EOT
    The customer managed key that encrypts the queues, the log groups and the functions' environments. Unset: the
    keys of SQS, CloudWatch Logs and Lambda.

    - `kms_key_arn`: its ARN. Its policy must let EventBridge and CloudWatch Logs use it: add the statements of the
      output `kms_key_policy_statements`. Without them lifecycle events that EventBridge cannot deliver are
      lost in silence, and log groups cannot be created.
  EOT

  validation {
    condition     = var.encryption == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/[^*]+$", var.encryption.kms_key_arn))
    error_message = "encryption.kms_key_arn must be the ARN of a KMS key (not of an alias), such as arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}
