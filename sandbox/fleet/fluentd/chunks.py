"""Chunk files, named and placed as Fluentd's `buf_file` names and places them.

`buffer.b<id>.log` is staged, `buffer.q<id>.log` is queued or being written, each with a `.meta`
file next to it; a backed-up chunk is `<id>.log` in the backup folder. A script that checks an
instance's disk (an SSM document, say) finds here what it would find on a real aggregator.
"""

import os
import shutil
import uuid
from pathlib import Path

import msgpack

from sandbox.fleet.fluentd.protocol import measure_entries

STAGED = "buffer.b"
QUEUED = "buffer.q"


class Chunk:
    """Entries in one file, open until it goes. Appended to while staged, read-only afterwards."""

    def __init__(self, path: Path, chunk_id: str, created_at: float, timekey: int | None) -> None:
        self.path = path
        self.chunk_id = chunk_id
        self.created_at = created_at
        self.timekey = timekey
        self.size = 0
        self.records = 0
        self._descriptor: int | None = None

    @classmethod
    def create(cls, directory: Path, now: float, timekey: int | None) -> "Chunk":
        """A new, empty, staged chunk."""
        chunk_id = uuid.uuid4().hex
        chunk = cls(directory / f"{STAGED}{chunk_id}.log", chunk_id, now, timekey)
        chunk._descriptor = os.open(chunk.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        chunk.write_metadata()
        return chunk

    @classmethod
    def resume(cls, path: Path) -> "Chunk":
        """The chunk in a file that an earlier process left behind."""
        chunk_id = path.name.removeprefix(STAGED).removeprefix(QUEUED).removesuffix(".log")
        try:
            metadata = msgpack.unpackb(_metadata_path(path).read_bytes())
        except FileNotFoundError:
            # Killed between two renames; what counts is the entries.
            metadata = {"ctime": path.stat().st_mtime, "timekey": None}
        chunk = cls(path, chunk_id, metadata["ctime"], metadata["timekey"])
        chunk.measure()
        chunk._descriptor = os.open(path, os.O_RDONLY)
        return chunk

    def measure(self) -> None:
        """Take size and number of entries from the file itself.

        An entry that is cut off was never acknowledged (its process was killed while writing), so
        its forwarder sends it again: here it is dropped.
        """
        self.records, self.size = measure_entries(self.read())
        os.truncate(self.path, self.size)

    def append(self, entries: bytes, records: int) -> None:
        """Write entries to the file, whole or not at all: they are in it when this returns."""
        if self._descriptor is None or not self.path.name.startswith(STAGED):
            raise ValueError(f"chunk {self.chunk_id} is not staged")
        try:
            _write_all(self._descriptor, entries)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
            raise
        self.size += len(entries)
        self.records += records

    def enqueue(self) -> None:
        self.write_metadata()
        self._move(self.path.with_name(f"{QUEUED}{self.chunk_id}.log"))

    def read(self) -> bytes:
        return self.path.read_bytes()

    def purge(self) -> None:
        """Delete the files: the destination has the entries."""
        self._close()
        self.path.unlink()
        _metadata_path(self.path).unlink(missing_ok=True)

    def set_aside(self, backup: Path) -> None:
        """Move the entries to the backup folder, from which nothing will send them."""
        self._close()
        backup.mkdir(parents=True, exist_ok=True)
        _metadata_path(self.path).unlink(missing_ok=True)
        # To another file system, too.
        self.path = Path(shutil.move(self.path, backup / f"{self.chunk_id}.log"))

    def evacuate(self, folder: Path) -> None:
        """Copy the files as they are, then delete them, as a retry limit does since 1.19."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self.path, _metadata_path(self.path)):
            shutil.copy(path, folder)
        self.purge()

    def write_metadata(self) -> None:
        """Write the file that says when the chunk was made and how much is in it."""
        metadata = {
            "id": self.chunk_id,
            "ctime": self.created_at,
            "timekey": self.timekey,
            "s": self.records,
        }
        _metadata_path(self.path).write_bytes(msgpack.packb(metadata))

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _move(self, path: Path) -> None:
        self.path.rename(path)
        _metadata_path(self.path).rename(_metadata_path(path))
        self.path = path


class MemoryChunk(Chunk):
    """The same in memory (`@type memory`, the default): gone with its process."""

    def __init__(self, now: float, timekey: int | None) -> None:
        super().__init__(Path(), uuid.uuid4().hex, now, timekey)
        self._entries = bytearray()

    def append(self, entries: bytes, records: int) -> None:
        self._entries += entries
        self.size += len(entries)
        self.records += records

    def enqueue(self) -> None:
        """It has no name to change."""

    def read(self) -> bytes:
        return bytes(self._entries)

    def purge(self) -> None:
        self._entries.clear()

    def set_aside(self, backup: Path) -> None:
        """Write the entries to the backup folder: a file at last."""
        backup.mkdir(parents=True, exist_ok=True)
        self.path = backup / f"{self.chunk_id}.log"
        self.path.write_bytes(self._entries)

    def evacuate(self, folder: Path) -> None:
        """Only files are evacuated: the entries are lost."""
        del folder
        self.purge()


def leftover_chunks(directory: Path, prefix: str) -> list[Chunk]:
    """The chunks of that kind that an earlier process left, oldest first."""
    found = [Chunk.resume(path) for path in directory.glob(f"{prefix}*.log")]
    return sorted(found, key=lambda chunk: chunk.created_at)


def _metadata_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.meta")


def _write_all(descriptor: int, entries: bytes) -> None:
    remaining = memoryview(entries)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]
