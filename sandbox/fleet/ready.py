"""How a process of the fleet says that it is ready, and where it can be reached."""

from pathlib import Path


def announce(ready_file: Path, text: str) -> None:
    """Write a file that is there completely or not at all."""
    unfinished = ready_file.with_suffix(".unfinished")
    unfinished.write_text(text)
    unfinished.rename(ready_file)
