"""What goes to the journal, and waits while the disk is full."""

from __future__ import annotations

import errno
import logging
import os
import time
from typing import Any, Callable, Dict, List, Tuple

from .journal import Dropped, JournalFull, RecordTooLarge

__all__ = ["Outbox"]

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_COMPLAIN_SECONDS = 60.0


class Outbox:
    """Appends batches to a journal; belongs to the recorder's thread.

    What a full disk refuses waits, and so does all that comes after it: the
    recorder takes no more out of its bounded queue meanwhile. What cannot be
    written for another reason is dropped, and named.

    Parameters
    ----------
    writer : Writer
        The journal.
    failed : callable
        Counts an exception and where it happened.

    Attributes
    ----------
    waiting : bool
        Whether something could not be written yet.
    dropped : Dropped
        The numbers that never will be.
    """

    def __init__(self, writer: Any, failed: Callable[[BaseException, str], None]) -> None:
        self._writer, self._failed = writer, failed
        self._held: List[Tuple[bytes, List[Dict[str, Any]]]] = []
        self._complaint_at = 0.0
        self._last = False
        self.dropped = Dropped()

    @property
    def waiting(self) -> bool:
        return bool(self._held)

    def append(self, payload: bytes, batch: List[Dict[str, Any]]) -> None:
        """Append the record of some events."""
        if self._held:
            self._held.append((payload, batch))
            return
        try:
            self._writer.append(payload)
            return
        except JournalFull as error:
            reason = "journal full"
            self._complain(error, "are not recorded")
        except RecordTooLarge as error:
            reason = "too large"
            self._failed(error, "journal")
        except Exception as error:
            code = error.errno if isinstance(error, OSError) else None
            if code in _FULL and not self._last:
                self._held.append((payload, batch))
                self._complain(error, "wait for room on the disk")
                return
            reason = "journal: " + (os.strerror(code) if code else type(error).__name__)
            self._failed(error, "journal")
            self._complain(error, "are not recorded")
        for event in batch:
            self.dropped.add(event["seq"], event["seq"], reason)

    def retry(self, last: bool = False) -> None:
        """Try what waits once more; `last` says that nothing waits from now on."""
        self._last = self._last or last
        held, self._held = self._held, []
        for payload, batch in held:
            self.append(payload, batch)

    def _complain(self, error: BaseException, what: str) -> None:
        """Tell the log of the observed process, at most once a minute."""
        now = time.monotonic()
        if now >= self._complaint_at:
            self._complaint_at = now + _COMPLAIN_SECONDS
            logging.getLogger("distributed.mida").warning("task events %s: %s", what, error)
