"""IAM, strict: each call is checked against its caller's policies."""
