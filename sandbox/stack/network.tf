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

# What several modules register in belongs to none of them.
resource "aws_service_discovery_service" "shared" {
  count = var.cloud_map && var.shared_service ? 1 : 0

  name          = "_fluentd._tcp"
  force_destroy = true

  dns_config {
    namespace_id   = one(aws_service_discovery_private_dns_namespace.logs[*].id)
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "SRV"
      ttl  = var.dns_ttl_seconds
    }
  }
}
