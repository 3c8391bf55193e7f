"""The local cloud: real Terraform, real Prometheus and the real zip on emulators, on loopback."""
