"""The scenarios, and what they do to cloud and fleet."""
