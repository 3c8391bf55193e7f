"""Functions that consume a stage's queue and wait."""
