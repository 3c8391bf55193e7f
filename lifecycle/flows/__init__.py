"""What each function does, one module a function, and what they share."""
