"""One list of expectations that a Fluentd, simulated or real, is held to."""
