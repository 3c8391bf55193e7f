"""The simulated Fluentd aggregator: one process."""
