# What the waiters may do beside if the volumes of an instance that they give up are to be saved, and
# that nobody may do any of it otherwise.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  cloud_map              = { service_id = "srv-existing" }
  flush                  = { buffer_paths = ["/var/log/fluent/buffer"] }
  prometheus             = { url = "http://prometheus:9090" }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
  lambda                 = { package = { s3 = { bucket = "artefacts", key = "package.zip" } } }
}

run "without_the_option_nobody_makes_snapshots" {
  command = plan

  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.function : !strcontains(policy.policy, "Snapshot")])
    error_message = "A role may make snapshots that nobody asked for."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.this : !contains(keys(function.environment[0].variables), "SNAPSHOT_VOLUMES")])
    error_message = "Without the option the functions are not told of it."
  }
}

run "waiters_may_make_tagged_snapshots_of_the_groups_instances" {
  command = plan
  variables {
    snapshots = {}
  }

  assert {
    condition = alltrue([
      for stage in ["operation", "flush", "buffer"] : jsonencode([
        for statement in jsondecode(aws_iam_role_policy.function[stage].policy).Statement : statement if strcontains(jsonencode(statement), "napshot")
        ]) == jsonencode([
        {
          Sid       = "SnapshotInstancesOfGroup"
          Effect    = "Allow"
          Action    = ["ec2:CreateSnapshots"]
          Resource  = "arn:aws:ec2:eu-west-1:123456789012:instance/*"
          Condition = { StringEquals = { "ec2:ResourceTag/aws:autoscaling:groupName" = "aggregators" } }
        },
        {
          Sid      = "SnapshotTheirVolumes"
          Effect   = "Allow"
          Action   = ["ec2:CreateSnapshots"]
          Resource = "arn:aws:ec2:eu-west-1:123456789012:volume/*"
        },
        {
          Sid       = "MakeRescueSnapshots"
          Effect    = "Allow"
          Action    = ["ec2:CreateSnapshots"]
          Resource  = "arn:aws:ec2:eu-west-1::snapshot/*"
          Condition = { StringLike = { "aws:RequestTag/fluentd-lifecycle-rescue" = "i-*" } }
        },
        {
          Sid      = "TagRescueSnapshots"
          Effect   = "Allow"
          Action   = ["ec2:CreateTags"]
          Resource = "arn:aws:ec2:eu-west-1::snapshot/*"
          Condition = {
            StringEquals                = { "ec2:CreateAction" = "CreateSnapshots" }
            "ForAllValues:StringEquals" = { "aws:TagKeys" = ["fluentd-lifecycle-rescue"] }
          }
        },
        {
          Sid      = "LookUpSnapshots"
          Effect   = "Allow"
          Action   = ["ec2:DescribeSnapshots"]
          Resource = "*"
        },
      ])
    ])
    error_message = "Snapshots of this group's instances, with this tag, and nothing else: ${aws_iam_role_policy.function["flush"].policy}"
  }
  assert {
    condition     = alltrue([for key, policy in aws_iam_role_policy.function : contains(["operation", "flush", "buffer"], key) || !strcontains(policy.policy, "Snapshot")])
    error_message = "Only the waiters make snapshots."
  }
  assert {
    condition     = alltrue([for stage in ["operation", "flush", "buffer"] : aws_lambda_function.this[stage].environment[0].variables.SNAPSHOT_VOLUMES == "all"])
    error_message = "The waiters must be told to save all volumes."
  }
}

run "named_volumes_are_looked_up" {
  command = plan
  variables {
    prometheus = { url = "http://prometheus:9090", identify_by = "private_ip_address" }
    snapshots  = { device_names = ["/dev/sdb", "xvdc"] }
  }

  assert {
    condition = alltrue([
      for stage in ["operation", "flush", "buffer"] :
      length([for statement in jsondecode(aws_iam_role_policy.function[stage].policy).Statement : statement if statement.Sid == "DescribeInstances"]) == 1
    ])
    error_message = "Which volume has which name, EC2 tells with the instance; a Sid may stand once."
  }
  assert {
    condition     = alltrue([for stage in ["operation", "flush", "buffer"] : aws_lambda_function.this[stage].environment[0].variables.SNAPSHOT_VOLUMES == "/dev/sdb,xvdc"])
    error_message = "The waiters must be told the names as lifecycle/settings.py reads them."
  }
}

run "in_another_partition_the_arns_are_those_of_it" {
  command = plan
  variables {
    snapshots = {}
  }
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["buffer"].policy).Statement : split(":", statement.Resource)[1]
      if strcontains(statement.Sid, "Snapshot") && statement.Resource != "*"
    ] == ["aws-cn", "aws-cn", "aws-cn", "aws-cn"]
    error_message = "Every ARN must be of the partition: ${aws_iam_role_policy.function["buffer"].policy}"
  }
}
