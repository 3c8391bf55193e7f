"""The simulated forwarders and their DNS server."""
