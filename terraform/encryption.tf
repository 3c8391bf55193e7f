# With `encryption`: what the functions may do with the customer managed key, and what its policy must let the
# services do that have no role: EventBridge, whose requests name neither rule nor account, and CloudWatch Logs.

locals {
  kms_key_arn = try(var.encryption.kms_key_arn, null)

  # Lambda opens a function's environment with the function's role; the senders and receivers of a queue use
  # the key through SQS.
  key_statements = {
    for key in keys(local.functions) : key => var.encryption == null ? [] : [{
      Sid      = "UseKey"
      Effect   = "Allow"
      Action   = key == "evidence" ? ["kms:Decrypt"] : ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = local.kms_key_arn
      Condition = {
        StringEquals = {
          "kms:ViaService" = [for service in key == "evidence" ? ["lambda"] : ["lambda", "sqs"] : "${service}.${local.region}.${data.aws_partition.current.dns_suffix}"]
        }
      }
    }]
  }

  # Of the inputs alone, not of the key: its policy can be made of them in the same run.
  key_policy_statements = [
    {
      Sid       = "EventsToQueues"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "*"
    },
    {
      Sid       = "LogsOfFunctions"
      Effect    = "Allow"
      Principal = { Service = "logs.${local.region}.${data.aws_partition.current.dns_suffix}" }
      Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
      Resource  = "*"
      Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = values(local.log_group_arns) } }
    },
  ]
}
