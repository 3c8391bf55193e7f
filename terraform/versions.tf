# What the module needs. 1.9 is the first Terraform whose validations may refer to other inputs; the
# tests and the local cloud run with provider 5.100. The module configures no provider: region,
# account and default tags are the caller's.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}
