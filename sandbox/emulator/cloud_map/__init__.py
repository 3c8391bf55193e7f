"""Cloud Map, strict: operations take time and may fail."""
