# Where the module runs. Names and ARNs are computed from these (locals.tf).

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}
