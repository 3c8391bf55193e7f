"""What the terminal shows during a run."""
