# Where the module runs. Names and ARNs are computed from these (locals.tf).

data "aws_partition" "current" {}

# The provider's region, under a name that neither provider 5 nor 6 deprecates: 6.47 deprecated `aws_region`'s `id`
# after its `name`, and 5 does not know its `region`. It asks AWS nothing.
data "aws_service" "current" {
  service_id = "ec2"
}

data "aws_caller_identity" "current" {}
