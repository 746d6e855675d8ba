"""Where the paths that a task named lead on its own node."""

from __future__ import annotations

from typing import Any, Dict, List

__all__ = ["PathFinder"]


class PathFinder:
    """Add ``paths`` to events."""

    def __init__(self) -> None:
        self.missed = 0

    def add(self, events: List[Dict[str, Any]]) -> None:
        """Resolve the paths of a batch of events."""
