# As an option, the disks of an instance that is given up on its way out outlive it whatever a person
# makes of the alarm. The waiter that gives up, of whichever stage, asks for the snapshots, last of all
# and once; what the waiters may do for that, and what they are told, is here and exists only if
# `snapshots` is given.

locals {
  # Left out when null, like any optional setting.
  snapshot_volumes = var.snapshots == null ? null : join(",", coalesce(var.snapshots.device_names, ["all"]))

  rescue_tag_key = "fluentd-lifecycle-rescue"

  snapshot_statements = concat(
    var.snapshots == null ? [] : [{
      Sid       = "SnapshotInstancesOfGroup"
      Effect    = "Allow"
      Action    = ["ec2:CreateSnapshots"]
      Resource  = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:instance/*"
      Condition = { StringEquals = { "ec2:ResourceTag/aws:autoscaling:groupName" = var.autoscaling_group_name } }
    }],
    # CreateSnapshots needs its instance, its volumes and the snapshots. A volume has no tag of the
    # group's; that it belongs to an instance of the group, the statement above sees to.
    var.snapshots == null ? [] : [{
      Sid      = "SnapshotTheirVolumes"
      Effect   = "Allow"
      Action   = ["ec2:CreateSnapshots"]
      Resource = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:volume/*"
    }],
    # A snapshot's ARN names no account.
    var.snapshots == null ? [] : [{
      Sid       = "MakeRescueSnapshots"
      Effect    = "Allow"
      Action    = ["ec2:CreateSnapshots"]
      Resource  = "arn:${local.partition}:ec2:${local.region}::snapshot/*"
      Condition = { StringLike = { "aws:RequestTag/${local.rescue_tag_key}" = "i-*" } }
    }],
    var.snapshots == null ? [] : [{
      Sid      = "TagRescueSnapshots"
      Effect   = "Allow"
      Action   = ["ec2:CreateTags"]
      Resource = "arn:${local.partition}:ec2:${local.region}::snapshot/*"
      Condition = {
        StringEquals                = { "ec2:CreateAction" = "CreateSnapshots" }
        "ForAllValues:StringEquals" = { "aws:TagKeys" = [local.rescue_tag_key] }
      }
    }],
    # DescribeSnapshots cannot be limited to resources.
    var.snapshots == null ? [] : [{
      Sid      = "LookUpSnapshots"
      Effect   = "Allow"
      Action   = ["ec2:DescribeSnapshots"]
      Resource = "*"
    }],
  )
}
