"""Observers that a campaign brings along: registered at the running collector, drained and removed when it ends."""

from __future__ import annotations

import os
import re
import urllib.parse
import warnings
from types import TracebackType
from typing import Any, Dict, Iterable, List, Optional, Type, Union

from .client import Client
from .errors import MidaError, MidaWarning, NotFoundError, QueryError

__all__ = ["Dask", "Logs", "MLflow", "Observer", "Observers", "campaign"]

DRAIN_SECONDS = 60.0


class Observer:
    """What is observed: the kind of a receiver and its configuration (``docs/observers.md``).

    Parameters
    ----------
    kind
        Type of a receiver that the collector's operator allows, such as ``"mlflow"``.
    config
        Keys of that receiver, without ``storage``. Relative paths mean the collector's directory.
    id
        Names the observer. A campaign with the same observer again goes on where it was; without an id one is made.
    """

    def __init__(self, kind: str, config: Optional[Dict[str, Any]] = None, *, id: Optional[str] = None) -> None:
        self.kind, self.config, self.id = kind, dict(config or {}), id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind!r}, {self.config!r}, id={self.id!r})"


class MLflow(Observer):
    """An MLflow tracking database: ``sqlite:///mlflow.db`` or ``postgresql://user@host/database``.

    Default: ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``. A relative file is one of the current directory.
    """

    def __init__(self, tracking_uri: Optional[str] = None, *, id: Optional[str] = None, **config: Any) -> None:
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
        super().__init__("mlflow", absolute_paths({"tracking_uri": uri, **config}), id=id)


class Logs(Observer):
    """Log files, and the rules that say what their lines mean (``docs/log-rules.md``).

    Parameters
    ----------
    include
        Paths or globs, relative to the current directory.
    rules
        A file of rules, or their keys as a dict.
    """

    def __init__(
        self,
        include: Union[str, os.PathLike[str], Iterable[Union[str, os.PathLike[str]]]],
        rules: Union[str, os.PathLike[str], Dict[str, Any]],
        *,
        id: Optional[str] = None,
        **config: Any,
    ) -> None:
        paths = [include] if isinstance(include, (str, os.PathLike)) else list(include)
        config["include"] = paths
        if isinstance(rules, dict):
            config.update(rules)
        else:
            config["rules_file"] = rules
        super().__init__("tasklog", absolute_paths(config), id=id)


class Dask(Observer):
    """A running Dask cluster: its address, the cluster or client object, or the file of ``--scheduler-file``."""

    def __init__(self, cluster: Any = "tcp://127.0.0.1:8786", *, id: Optional[str] = None, **config: Any) -> None:
        scheduler = getattr(cluster, "scheduler", None)  # of a client or a cluster
        address = getattr(cluster, "scheduler_address", None) or getattr(scheduler, "address", None) or cluster
        if not isinstance(address, (str, os.PathLike)):
            raise QueryError(f"{cluster!r} is no Dask cluster; want tcp://host:port, a cluster, a client or a file")
        address = os.fspath(address)
        if re.match(r"(tcp|tls)://", address):
            config["schedulers"] = [address]
        elif "://" in address:
            raise QueryError(f"{address}: only tcp:// and tls:// clusters can be attached to")
        else:
            config["scheduler_files"] = [address]
        super().__init__("dask", absolute_paths(config), id=id)


PATHS = ("include", "exclude", "rules_file", "scheduler_files", "base_dir")


def absolute_paths(config: Dict[str, Any]) -> Dict[str, Any]:
    """Return a configuration of a receiver whose relative paths are those of the current directory."""

    def absolute(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [absolute(v) for v in value]
        return os.path.abspath(os.fspath(value)) if isinstance(value, (str, os.PathLike)) and value else value

    made = {key: absolute(value) if key in PATHS else value for key, value in config.items()}
    if isinstance(made.get("tracking_uri"), str):
        made["tracking_uri"] = absolute_uri(made["tracking_uri"])
    return made


def absolute_uri(uri: str) -> str:
    """Return the URI of a database with its file from the root."""
    match = re.match(r"(sqlite(?:\+\w+)?:///)([^/?][^?]*)(\?.*)?$", uri)
    if not match:
        return uri
    return match.group(1) + os.path.abspath(match.group(2)) + (match.group(3) or "")


class Observers:
    """The observers that are registered at a collector.

    Parameters
    ----------
    client
        Whom to ask; default: a `Client` that finds the collector by itself.
    """

    def __init__(self, client: Optional[Client] = None) -> None:
        self._client = client or Client()

    def list(self) -> List[Dict[str, Any]]:
        """Return them with state and counters."""
        return self._client._call("GET", "/api/v1/observers")["observers"]

    def add(self, observer: Observer, *, start: bool = True) -> Dict[str, Any]:
        """Register an observer; the same one again changes nothing."""
        body: Dict[str, Any] = {"kind": observer.kind, "config": observer.config, "start": start}
        if observer.id is not None:
            body["id"] = observer.id
        return self._client._call("POST", "/api/v1/observers", body)

    def discovered(self) -> Dict[str, Any]:
        """Return what the collector found that could be observed.

        ``discovered`` has offers with ``id``, ``kind``, ``config``, ``evidence`` and ``observed``; ``notes`` say what
        was found and cannot be offered.
        """
        return self._client._call("GET", "/api/v1/observers/discovered")

    def add_discovered(
        self, id: str, *, name: Optional[str] = None, start: bool = True, **config: Any
    ) -> Dict[str, Any]:
        """Register what `discovered` offers, as the observer `name`; `config` adds keys, such as ``campaign``."""
        offers = {offer["id"]: offer for offer in self.discovered()["discovered"]}
        if id not in offers:
            there = ", ".join(offers) or "nothing was found"
            raise NotFoundError(f"{id!r} was not found; there is: {there}", field="id", valid=list(offers))
        offer = offers[id]
        return self.add(Observer(offer["kind"], {**offer["config"], **config}, id=name or id), start=start)

    def start(self, id: str) -> Dict[str, Any]:
        """Start an observer."""
        return self._client._call("POST", _path(id, "/start"))

    def stop(self, id: str, timeout: float = DRAIN_SECONDS) -> Dict[str, Any]:
        """Stop an observer once all that its tool did is in the view; ``drained`` says whether it is."""
        return self._waiting(timeout)._call("POST", _path(id, "/stop"), params=_timeout(timeout))

    def remove(self, id: str, timeout: float = DRAIN_SECONDS, *, force: bool = False) -> Dict[str, Any]:
        """Stop an observer as `stop` does, and forget it and its position.

        ``deleted`` says whether it is forgotten: one that could not be drained is kept, unless `force` says otherwise.
        """
        params = _timeout(timeout) + ([("force", "true")] if force else [])
        return self._waiting(timeout)._call("DELETE", _path(id), params=params)

    def _waiting(self, timeout: float) -> Client:
        return self._client.with_timeout(timeout + DRAIN_SECONDS)


def _path(id: str, end: str = "") -> str:
    return "/api/v1/observers/" + urllib.parse.quote(id, safe="") + end


def _timeout(seconds: float) -> List[Any]:
    if not seconds > 0:
        raise QueryError(f"timeout: {seconds} is no time to wait; want seconds above 0")
    return [("timeout", f"{max(seconds, 0.001):.3f}s")]


class campaign:
    """Observe a campaign for as long as a ``with`` block lasts.

    At the end everything that the observed tools did within the block is in the view; what is not is said in a
    `MidaWarning`, and nothing of it is lost.

    Parameters
    ----------
    name
        The campaign that the tasks belong to.
    observers
        `MLflow`, `Logs`, `Dask` or `Observer`.
    client
        Whom to ask; default: a `Client` that finds the collector by itself.
    timeout
        Seconds to wait at most for each observer at the end.

    Examples
    --------
    ::

        with mida.campaign("search", observers=[mida.MLflow("sqlite:///mlflow.db")]):
            main()
    """

    def __init__(
        self,
        name: str,
        observers: Iterable[Observer] = (),
        *,
        client: Optional[Client] = None,
        timeout: float = DRAIN_SECONDS,
    ) -> None:
        _timeout(timeout)
        self.name, self._wanted, self._timeout = name, list(observers), timeout
        for observer in self._wanted:
            if not isinstance(observer, Observer):
                raise QueryError(f"{observer!r} is no observer; want mida.MLflow(…), mida.Logs(…) or mida.Dask(…)")
        self._client = client
        self.observers: List[Dict[str, Any]] = []

    def __enter__(self) -> campaign:
        registered = Observers(self._client)
        try:
            for wanted in self._wanted:
                config = {"campaign": self.name, **wanted.config}
                added = registered.add(Observer(wanted.kind, config, id=wanted.id))
                self.observers.append(added)
                if added["state"] == "failed":
                    raise MidaError(f"observer {added['id']}: {added.get('problem', 'it does not start')}")
        except BaseException:
            self._end(registered)
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._end(Observers(self._client))

    def _end(self, registered: Observers) -> None:
        # What goes wrong here must not hide what went wrong in the block, and one observer keeps no other from its end.
        problems = []
        for added, wanted in zip(self.observers, self._wanted):
            try:
                # One with a name of its own may come again, and then goes on where it was.
                end = registered.remove if wanted.id is None else registered.stop
                answer = end(added["id"], self._timeout)
                if answer["drained"]:
                    continue
                why = answer.get("problem", "no reason was given")
            except MidaError as failure:
                why = str(failure)
            problems.append(f"observer {added['id']} did not bring everything over: {why}; it is kept")
        self.observers = []
        for text in problems:
            warnings.warn(text, MidaWarning, stacklevel=3)
