# What the module needs: Terraform 1.9 is the first whose validations may refer to other inputs, provider 5.76 the first
# that knows `python3.13`, 7 is not known. What was run with which version: docs/versions.md. The module configures no
# provider: region, account and default tags are the caller's.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.76, < 7.0"
    }
  }
}
