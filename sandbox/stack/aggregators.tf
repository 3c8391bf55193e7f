resource "aws_launch_template" "aggregator" {
  name          = "${var.name}-aggregator"
  image_id      = "ami-12345678"
  instance_type = "c6g.large"
}

# It is created before the module, empty: the hooks exist before the first instance, as for a user
# who creates group and hooks in one run. The size is set later, by an API call, as
# a scaling policy would.
resource "aws_autoscaling_group" "aggregators" {
  for_each = toset(var.groups)

  name                      = "${var.name}-${each.key}"
  min_size                  = 0
  max_size                  = var.max_size
  desired_capacity          = 0
  vpc_zone_identifier       = [aws_subnet.aggregators.id]
  wait_for_capacity_timeout = "0"
  force_delete              = true

  launch_template {
    id      = aws_launch_template.aggregator.id
    version = "$Latest"
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

resource "aws_s3_bucket" "logs" {
  bucket        = "${var.name}-logs"
  force_destroy = true
}
