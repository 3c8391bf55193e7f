# Simulated instances get loopback addresses out of the cloud's own subnet, so that local processes
# can listen on them.

resource "aws_vpc" "logs" {
  cidr_block = var.subnet_cidr_block
}

resource "aws_subnet" "aggregators" {
  vpc_id     = aws_vpc.logs.id
  cidr_block = var.subnet_cidr_block
}

resource "aws_service_discovery_private_dns_namespace" "logs" {
  count = var.cloud_map ? 1 : 0

  name = var.namespace
  vpc  = aws_vpc.logs.id
}
