"""SSM, strict: documents are checked, agents run commands."""
