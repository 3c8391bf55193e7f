"""The simulated fleet: aggregators, forwarders, their DNS and their Prometheus, on loopback."""
