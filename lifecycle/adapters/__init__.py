"""A module or two an API: what AWS and Prometheus are asked, and how their answers are read."""
