"""Watches: standing queries whose matches are delivered as they come (``docs/steering.md``)."""

from __future__ import annotations

import http.client
import threading
import time
import warnings
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from .client import Client
from .delivered import Delivered
from .errors import MidaError, MidaWarning, QueryError, UnreachableError
from .standing import Query, Standing
from .standing import template as _template

__all__ = ["NotDelivered", "Watch", "watch"]

FALLBACK = 10.0  # seconds after which it is looked in any case
SETTLED = 1.5  # seconds after a stream began, when the collector has looked at the view
LEAST = 0.25  # seconds between two looks
SHARE = 4  # at most a fifth of the time is spent looking
ALL = 5.0  # seconds between two looks at all matches, where they are many
SILENCE = 45.0  # seconds; the collector says something every 15
LATEST = 30.0  # seconds between two attempts to reach the collector


class NotDelivered(MidaError):
    """A match could not be delivered now; it is tried again."""


class Watch:
    """A standing query and whom to call; see `watch`."""

    def __init__(
        self,
        standing: Standing,
        callback: Callable[[Dict[str, Any]], Any],
        *,
        name: Optional[str] = None,
        client: Optional[Client] = None,
        from_now: bool = False,
    ) -> None:
        self.standing, self.name = standing, name
        self.count = 0
        self._callback = callback
        self._client = client or Client()
        self._from_now = from_now
        self._stop = threading.Event()
        self._news = _News()
        self._thread: Optional[threading.Thread] = None
        self._error: Optional[BaseException] = None
        self._whole, self._latest_done, self._all_from = True, 0.0, 0.0

    def run(self) -> None:
        """Watch until `stop`; an error of the callback ends it, and its match is delivered again next time."""
        delivered = Delivered(self.name, self.standing.name, self._client.state_directory)
        try:
            self._watch(delivered)
        finally:
            delivered.close()

    def _watch(self, delivered: Delivered) -> None:
        threading.Thread(target=self._listen, name="mida-watch-stream", daemon=True).start()
        passed_over, pause = not (self._from_now and delivered.is_new), 0.5
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                if not passed_over:
                    delivered.add(*self.standing.keys(self._client))
                    passed_over = True
                self._look(delivered)
                pause = 0.5
            except (NotDelivered, UnreachableError) as error:
                if isinstance(error, NotDelivered):
                    _say(str(error))
                elif pause == 0.5:
                    _say(f"{error}; the watch goes on when it does")
                self._stop.wait(pause)
                pause = min(2 * pause, LATEST)
                if not isinstance(error, NotDelivered):
                    self._find_again()
                continue
            if not self._stop.wait(max(LEAST, SHARE * (self._latest_done - began))):
                self._news.wait(FALLBACK if self._whole else min(FALLBACK, max(0.0, self._all_from - time.monotonic())))

    def _look(self, delivered: Delivered) -> None:
        """Look at the latest matches, and at all of them unless that was done just before."""
        keys, self._whole = self.standing.latest(self._client)
        self._deliver(keys, delivered)
        began = self._latest_done = time.monotonic()
        if not self._whole and began >= self._all_from:
            self._deliver(self.standing.keys(self._client), delivered)
            self._whole, ended = True, time.monotonic()
            self._all_from = ended + max(ALL, SHARE * (ended - began))

    def _deliver(self, keys: List[str], delivered: Delivered) -> None:
        new = [key for key in keys if key not in delivered]
        for key, match in self.standing.matches(self._client, new):
            if self._stop.is_set():
                return
            self._callback(match)
            delivered.add(key)
            self.count += 1

    def _find_again(self) -> None:
        try:
            self._client.find_again()
        except UnreachableError:
            pass  # it has not started yet

    def _listen(self) -> None:
        """Wake the watch at every change of the view."""
        position, pause = "", 0.5
        while not self._stop.is_set():
            try:
                headers = {"Accept": "text/event-stream"}
                if position:
                    headers["Last-Event-ID"] = position
                with self._client.open("GET", "/api/v1/stream", headers=headers, timeout=SILENCE) as response:
                    pause = 0.5
                    self._news.say(SETTLED)
                    for line in response:
                        if self._stop.is_set():
                            return
                        if line.startswith(b"id:"):
                            position = line[3:].strip().decode("ascii", "replace")
                        elif line.startswith(b"event:"):
                            self._news.say()
            except (MidaError, OSError, ValueError, http.client.HTTPException):
                pass  # the watch looks without it, every FALLBACK seconds
            self._stop.wait(pause)
            pause = min(2 * pause, LATEST)

    def start(self) -> Watch:
        """Watch in a thread of this process; the process does not wait for it."""
        self._thread = threading.Thread(target=self._run, name="mida-watch", daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self._error = error
            _say(f"the watch {self.name or ''} ended: {error}")

    def stop(self) -> None:
        """End the watch; a callback that runs is let end. It may be called from the callback."""
        self._stop.set()
        self._news.say()

    def join(self, timeout: Optional[float] = None) -> bool:
        """Wait for its end; return whether it has ended. What ended it, such as an error of the callback, is raised."""
        if self._thread is not None:
            self._thread.join(timeout)
        if self._error is not None:
            raise self._error
        return self._thread is None or not self._thread.is_alive()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
        if self._thread is not threading.current_thread():
            self.join()


class _News:
    """Wakes the watch at once, and once more after a while where that was asked for."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._again: Optional[float] = None

    def say(self, again: Optional[float] = None) -> None:
        if again is not None:
            self._again = time.monotonic() + again
        self._changed.set()

    def wait(self, most: float) -> None:
        again = self._again
        if again is not None:
            most = min(most, max(0.0, again - time.monotonic()))
        if not self._changed.wait(most) and again == self._again:
            self._again = None
        self._changed.clear()


def _say(text: str) -> None:
    warnings.warn(text, MidaWarning, stacklevel=2)


def watch(
    query: Union[str, Mapping[str, Any], None] = None,
    callback: Optional[Callable[[Dict[str, Any]], Any]] = None,
    *,
    name: Optional[str] = None,
    campaign: Optional[str] = None,
    template: Optional[str] = None,
    from_now: bool = False,
    client: Optional[Client] = None,
) -> Watch:
    """Call back for each task that matches, now and later, each once; return the `Watch`, which runs in a thread.

    Parameters
    ----------
    query
        A condition such as ``"generated.loss < 0.1"``, or a filter as in `mida.query`.
    callback
        Is called with each match, a whole task, one after the other. An error in it ends the watch.
    name
        Makes each match be delivered once for all processes that ever watch by this name: what was delivered is kept
        in the collector's state directory. Without a name that is once for this `Watch`.
    campaign
        Only tasks of this campaign.
    template
        In place of a query ``failure-rate``, ``stalled`` or ``memory``, also with a number: ``"stalled=600"``.
    from_now
        What matches already when the watch begins for the first time is not delivered.
    client
        Whom to ask; by default the collector that `Client` finds.
    """
    if callback is None or not callable(callback):
        raise QueryError("watch: no callback; want a function that takes a match", field="callback")
    w = Watch(standing(query, template, campaign), callback, name=name, client=client, from_now=from_now)
    return w.start()


def standing(query: Union[str, Mapping[str, Any], None], template: Optional[str], campaign: Optional[str]) -> Standing:
    """Return what is to be looked for."""
    if (query is None) == (template is None):
        raise QueryError("watch: want either a query or a template")
    if template is not None:
        return _template(template, campaign)
    assert query is not None
    return Query(query, campaign)
