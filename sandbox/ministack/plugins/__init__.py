"""What is added to MiniStack, inside its process and its own environment; loaded by path."""
