"""What is to be done, from what is known: pure functions, without a network or a clock."""
