"""Functions that EventBridge invokes."""
