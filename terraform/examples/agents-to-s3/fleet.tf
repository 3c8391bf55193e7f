# An ordinary Auto Scaling group: nothing in it is there for the module but the hook that it starts
# with, and the two permissions of its instances: to upload logs, and to be reached by SSM.

locals {
  # fluent-package keeps its buffers here, too.
  fluentd_root_dir = "/var/lib/fluent"
}

resource "aws_s3_bucket" "logs" {
  bucket_prefix = "${var.name}-"
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket = aws_s3_bucket.logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_partition" "current" {}

data "aws_subnet" "first" {
  id = var.subnet_ids[0]
}

resource "aws_security_group" "web" {
  name        = "${var.name}-web"
  description = "Web servers: out to anywhere, in from nowhere (until you let a load balancer in)"
  vpc_id      = data.aws_subnet.first.vpc_id

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_iam_role" "web" {
  name = "${var.name}-web"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# For the SSM agent, which Amazon Linux brings along.
resource "aws_iam_role_policy_attachment" "ssm" {
  role       = aws_iam_role.web.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy" "upload_logs" {
  name = "upload-logs"
  role = aws_iam_role.web.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        # out_s3 looks which number in the name of an object is free.
        Action   = ["s3:PutObject", "s3:GetObject"]
        Resource = "${aws_s3_bucket.logs.arn}/*"
      },
      {
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = aws_s3_bucket.logs.arn
      },
    ]
  })
}

resource "aws_iam_instance_profile" "web" {
  name = "${var.name}-web"
  role = aws_iam_role.web.name
}

resource "aws_launch_template" "web" {
  name                   = "${var.name}-web"
  image_id               = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
  instance_type          = "t4g.micro"
  vpc_security_group_ids = [aws_security_group.web.id]
  update_default_version = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.web.arn
  }

  metadata_options {
    http_tokens = "required"
  }

  user_data = base64encode(templatefile("${path.module}/user_data.sh.tftpl", {
    root_dir     = local.fluentd_root_dir
    fluentd_conf = file("${path.module}/fluentd.conf")
    bucket       = aws_s3_bucket.logs.bucket
    region       = var.region
  }))
}

resource "aws_autoscaling_group" "web" {
  name                = "${var.name}-web"
  vpc_zone_identifier = var.subnet_ids
  min_size            = 0
  max_size            = 4
  desired_capacity    = var.desired_capacity

  launch_template {
    id      = aws_launch_template.web.id
    version = aws_launch_template.web.latest_version
  }

  # From the first instance on, none ends unflushed.
  dynamic "initial_lifecycle_hook" {
    for_each = module.fluentd_lifecycle.initial_lifecycle_hooks
    content {
      name                 = initial_lifecycle_hook.value.name
      lifecycle_transition = initial_lifecycle_hook.value.lifecycle_transition
      default_result       = initial_lifecycle_hook.value.default_result
      heartbeat_timeout    = initial_lifecycle_hook.value.heartbeat_timeout
    }
  }

  tag {
    key                 = "Name"
    value               = "${var.name}-web"
    propagate_at_launch = true
  }

  # An instance that uploads its last logs needs its permissions until the end.
  depends_on = [
    aws_iam_role_policy.upload_logs,
    aws_iam_role_policy_attachment.ssm,
  ]
}
