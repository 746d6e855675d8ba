"""A small disk of its own that can be full: a tmpfs, which only root can mount."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class SmallDisk:
    """Mounted at a directory while the context lasts."""

    def __init__(self, directory: Path, megabytes: int) -> None:
        self.directory, self._megabytes = directory, megabytes
        self._filler = directory / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for size in (1 << 20, 4096, 1):
                while True:
                    try:
                        os.write(file, b"x" * size)
                    except OSError:
                        break
        finally:
            os.close(file)

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def __enter__(self) -> SmallDisk:
        self.directory.mkdir()
        options = f"size={self._megabytes}m,mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "mida-test", self.directory], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self.directory], check=True)
