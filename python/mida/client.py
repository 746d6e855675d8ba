"""Client of the query API; standard library only.

A `Client` finds the collector by itself: ``MIDA_ENDPOINT`` and ``MIDA_TOKEN``,
or the ``mida-data/endpoint.json`` that a running collector keeps, in the
current directory or one above it.
"""

from __future__ import annotations

import copy
import datetime
import functools
import http.client
import json
import math
import os
import urllib.error
import urllib.parse
import urllib.request
import warnings
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from . import endpoint as _endpoint
from .arguments import Aggregation, Sort, names_of, pairs_of, sort_of
from .errors import AuthenticationError, MidaError, MidaWarning, NotFoundError, QueryError, UnreachableError

__all__ = [
    "AuthenticationError",
    "Client",
    "MidaError",
    "MidaWarning",
    "NotFoundError",
    "QueryError",
    "UnreachableError",
    "campaigns",
    "completeness",
    "lineage",
    "query",
    "query_df",
    "report",
    "task",
    "workflows",
]

PAGE = 10_000
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

Row = Dict[str, Any]
Filter = Mapping[str, Any]


class Client:
    """Asks one collector.

    Parameters
    ----------
    endpoint
        Address of the query API, such as ``http://127.0.0.1:4340``. Default: ``MIDA_ENDPOINT``, else what
        ``endpoint.json`` says.
    token
        The API's token. Default: ``MIDA_TOKEN``, else the content of the token file that ``endpoint.json`` names.
    state_directory
        The ``state_directory`` of the collector's ``taskquery`` extension. Default: ``mida-data`` in the current
        directory or the nearest one above it.
    timeout
        Seconds to wait for one answer.
    """

    def __init__(
        self,
        endpoint: Optional[str] = None,
        token: Optional[str] = None,
        state_directory: Optional[str] = None,
        timeout: float = 60.0,
    ) -> None:
        self._asked = (endpoint, token, state_directory)
        self._where = _endpoint.find(endpoint, token, state_directory)
        self._timeout = timeout
        self._opener = opener(self._where.is_loopback)

    @property
    def endpoint(self) -> str:
        """The address of the query API."""
        return self._where.url

    def is_there(self) -> bool:
        """Whether a collector answers at the address, whoever may ask it."""
        try:
            with self._opener.open(self.endpoint + "/healthz", timeout=self._timeout):
                return True
        except urllib.error.HTTPError:
            return True
        except (OSError, http.client.HTTPException):
            return False

    def query(
        self,
        projection: Optional[Iterable[str]] = None,
        aggregation: Optional[Aggregation] = None,
        filter: Optional[Filter] = None,
        sort: Optional[Sort] = None,
        limit: Optional[int] = None,
        *,
        as_dataframe: bool = False,
    ) -> Any:
        """Return the tasks, or the groups of an aggregation, that match.

        Parameters
        ----------
        projection
            Fields of the rows; whole tasks without it. With an aggregation those that are not aggregated make the
            groups.
        aggregation
            Pairs of operation and field: ``[("min", "generated.loss")]``. Operations: min, max, avg, sum, count,
            stddev, median, p95.
        filter
            MongoDB-style: ``{"used.layers": {"$gt": 2}}``.
        sort
            Pairs of field and direction: ``[("ended_at", mida.DESCENDING)]``.
        limit
            Number of rows; all without it.
        as_dataframe
            Return a pandas DataFrame rather than a list of dicts.

        Raises
        ------
        QueryError
            The query is wrong; the message says where and what would be valid.
        """
        projection = names_of("projection", projection)
        aggregation = pairs_of(aggregation)
        rows = list(self._rows(projection, aggregation, filter, sort, limit))
        if not as_dataframe:
            return rows
        from .frames import to_dataframe

        return to_dataframe(rows, projection, aggregation)

    def _rows(
        self,
        projection: Optional[List[str]],
        aggregation: Optional[List[List[str]]],
        filter: Optional[Filter],
        sort: Optional[Sort],
        limit: Optional[int],
    ) -> Iterator[Row]:
        if limit is not None and (limit < 1 or limit != int(limit)):
            raise QueryError(f"limit: {limit} is not a number of rows; want 1 or more, or None for all", field="limit")
        body: Dict[str, Any] = {}
        for key, value in (("projection", projection), ("aggregation", aggregation), ("filter", filter)):
            if value is not None:
                body[key] = value
        if sort is not None:
            body["sort"] = sort_of(sort)
        left = math.inf if limit is None else limit
        warned = set()
        while left > 0:
            body["limit"] = int(min(left, PAGE))
            answer = self.page(body)
            for text in answer.get("warnings", []):
                if text not in warned:
                    warned.add(text)
                    warnings.warn(text, MidaWarning, stacklevel=4)
            yield from answer["rows"]
            left -= len(answer["rows"])
            cursor = answer.get("next_cursor")
            if not cursor or not answer["rows"]:
                return
            body["cursor"] = cursor

    def page(self, body: Mapping[str, Any]) -> Dict[str, Any]:
        """Send one query as it is and return the whole answer, with ``total``, ``truncated`` and ``next_cursor``."""
        return self._call("POST", "/api/v1/query", body)

    def query_df(self, *args: Any, **kwargs: Any) -> Any:
        """Return what `query` returns as a pandas DataFrame."""
        return self.query(*args, as_dataframe=True, **kwargs)

    def task(self, id: str) -> Row:
        """Return one task with its environment and its direct upstream; ``id`` may also be a unique ``task_id``."""
        return self._call("GET", "/api/v1/tasks/" + urllib.parse.quote(id, safe=""))

    def lineage(
        self,
        id: Union[str, Iterable[str]],
        direction: str = "upstream",
        depth: Optional[int] = None,
        cost: bool = False,
    ) -> Row:
        """Return the graph of tasks, entities and links that a task came from, or that came from it.

        With `cost` it also has ``cost``: energy, CO2e, CPU and GPU hours of
        all tasks that it came from, however far, and of the trials that were
        discarded on the way.
        """
        params: List[Tuple[str, Any]] = [("id", i) for i in ([id] if isinstance(id, str) else id)]
        params.append(("direction", direction))
        if depth is not None:
            params.append(("depth", depth))
        if cost:
            params.append(("cost", "true"))
        return self._call("GET", "/api/v1/lineage", params=params)

    def campaigns(self) -> List[Row]:
        """Return the campaigns with their counts."""
        return self._call("GET", "/api/v1/campaigns")["campaigns"]

    def workflows(self, campaign: Optional[str] = None) -> List[Row]:
        """Return the workflows with their counts."""
        return self._call("GET", "/api/v1/workflows", params=_campaign(campaign))["workflows"]

    def completeness(self, campaign: Optional[str] = None) -> Row:
        """Return whether all that was observed has arrived: state, observers and what witnesses counted."""
        params = [] if campaign is None else [("campaign_id", campaign)]
        return self._call("GET", "/api/v1/completeness", params=params)

    def doctor(self, campaign: Optional[str] = None) -> Row:
        """Return how the collector's observers are doing: reached or not, what they saw, what they dropped and why."""
        params = [] if campaign is None else [("campaign_id", campaign)]
        return self._call("GET", "/api/v1/doctor", params=params)

    def explain_link(self, first: str, second: str) -> Row:
        """Return how the second task comes from the first one, or the reasons why it does not."""
        return self._call("GET", "/api/v1/doctor/link", params=[("from", first), ("to", second)])

    def get(self, path: str, params: Optional[List[Tuple[str, Any]]] = None) -> Any:
        """Return the answer of a route that only reads, as it is."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send a body to a route and return the answer, as it is."""
        return self._call("POST", path, body)

    def annotate(self, ids: Union[str, Iterable[str], None] = None, **said: Any) -> Row:
        """Note, tag, exclude, or record a decision on tasks, an entity or a campaign; see `mida.annotate`."""
        from .annotating import annotate

        return annotate(ids, client=self, **said)

    def notes(self, id: Optional[str] = None, **of: Any) -> List[Row]:
        """Return what people said of a task, a campaign or an entity; see `mida.notes`."""
        from .annotating import notes

        return notes(id, client=self, **of)

    def watch(self, query: Any, callback: Any = None, **options: Any) -> Any:
        """Call back for each task that matches, now and later, each once; see `mida.watch`."""
        from .watching import watch

        return watch(query, callback, client=self, **options)

    def correlation(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Return how each field of x goes together with each of y; see `mida.correlation`."""
        from .correlations import correlation

        return correlation(x, y, client=self, **options)

    def scatter(self, x: str, y: str, **options: Any) -> Row:
        """Return the tasks that have both fields, as points; see `mida.scatter`."""
        from .correlations import scatter

        return scatter(x, y, client=self, **options)

    def origins(self, filter: Any, against: Any = None, **options: Any) -> Any:
        """Return the raw data behind tasks, and what tells these from other tasks; see `mida.origins`."""
        from .originating import origins

        return origins(filter, against, client=self, **options)

    def report(
        self,
        metric: str,
        campaign: Optional[str] = None,
        k: int = 3,
        order: str = "ascending",
        filter: Optional[Filter] = None,
        format: str = "json",
    ) -> Any:
        """Return the life of the best results, back to the raw data; ``docs/report.md`` says what is in it.

        Parameters
        ----------
        metric
            The field by which results are ranked: ``"generated.mse"``.
        campaign
            Only results of this campaign.
        k
            How many.
        order
            `mida.ASCENDING` if the lowest is the best, `mida.DESCENDING` if the highest is.
        filter
            Only tasks that match, as in `query`.
        format
            ``"json"`` gives a dict, ``"html"`` a page that notebooks display and that needs nothing else,
            ``"markdown"`` a text.
        """
        from . import reports

        params = reports.parameters(metric, campaign, k, order, filter, format, encode)
        if format == "json":
            return self._call("GET", "/api/v1/report", params=params)
        text = self._send("GET", "/api/v1/report", None, params).decode("utf-8", "replace")
        return reports.Page(text) if format == "html" else text

    def delete_campaign(self, campaign: str) -> int:
        """Remove a campaign; return the number of tasks."""
        return self._call("DELETE", "/api/v1/campaigns/" + urllib.parse.quote(campaign, safe=""))["deleted"]

    def assign(self, campaign: str, filter: Optional[Filter] = None, workflows: Optional[Iterable[str]] = None) -> int:
        """Assign the matching tasks to a campaign; return the number of those that changed."""
        body: Dict[str, Any] = {}
        if filter is not None:
            body["filter"] = filter
        if workflows is not None:
            body["workflows"] = list(workflows)
        path = "/api/v1/campaigns/" + urllib.parse.quote(campaign, safe="") + "/assign"
        return self._call("POST", path, body)["assigned"]

    def backup(self, path: str) -> None:
        """Write a consistent copy of the store to a new file on the collector's machine."""
        self._call("POST", "/api/v1/backup", {"path": path})

    def find_again(self) -> None:
        """Look where the collector is now: one that was started again may have another port and token."""
        self._where = _endpoint.find(*self._asked)
        self._opener = opener(self._where.is_loopback)

    @property
    def state_directory(self) -> Optional[str]:
        """The collector's state directory, where it is known."""
        source = self._where.source
        if os.path.basename(source) == _endpoint.ENDPOINT_FILE:
            return os.path.dirname(os.path.abspath(source))
        return self._asked[2]

    def with_timeout(self, timeout: float) -> Client:
        """Return a client of the same collector that waits as many seconds for an answer."""
        other = copy.copy(self)
        other._timeout = timeout
        return other

    def _call(
        self,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]] = None,
        params: Optional[List[Tuple[str, Any]]] = None,
    ) -> Any:
        answer = self._send(method, path, body, params)
        try:
            return decode(answer)
        except ValueError:
            raise UnreachableError(self._where.unreachable("what it answered is no JSON")) from None

    def _send(
        self,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]],
        params: Optional[List[Tuple[str, Any]]],
    ) -> bytes:
        try:
            with self.open(method, path, body, params) as response:
                return response.read()
        except http.client.HTTPException as error:  # it hung up, or speaks something else
            raise UnreachableError(self._where.unreachable(f"it answered no HTTP ({type(error).__name__})")) from None
        except OSError as error:
            raise UnreachableError(self._where.unreachable(error)) from None

    def open(
        self,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]] = None,
        params: Optional[List[Tuple[str, Any]]] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[float] = None,
    ) -> Any:
        """Open a route and return the response, to be read by whom it concerns."""
        url = self._where.url + path
        if params:
            url += "?" + urllib.parse.urlencode(params)
        data = None if body is None else encode(body)
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Accept", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self._where.authorization:
            request.add_unredirected_header("Authorization", self._where.authorization)
        try:
            return self._opener.open(request, timeout=timeout or self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _error_of(error.code, error.read(), self._where) from None
        except (urllib.error.URLError, OSError) as error:
            raise UnreachableError(self._where.unreachable(getattr(error, "reason", error))) from None
        except http.client.HTTPException as error:  # it hung up, or speaks something else
            raise UnreachableError(self._where.unreachable(f"it answered no HTTP ({type(error).__name__})")) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could carry the question elsewhere; the API sends none."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def opener(loopback: bool) -> urllib.request.OpenerDirector:
    """Return what opens addresses without following redirects."""
    handlers: List[urllib.request.BaseHandler] = [_NoRedirect()]
    if loopback:
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy's loopback is another machine
    return urllib.request.build_opener(*handlers)


def _error_of(status: int, body: bytes, where: _endpoint.Endpoint) -> MidaError:
    try:
        error = json.loads(body)["error"]
        message = str(error["message"])
    except (ValueError, KeyError, TypeError):
        error = {}
        message = f"{where.url} answered {status}: {body[:200].decode('utf-8', 'replace').strip()}"
    kinds = {400: QueryError, 401: AuthenticationError, 403: AuthenticationError, 404: NotFoundError}
    kind = kinds.get(status, MidaError)
    if kind is AuthenticationError:
        message += where.token_hint()
    return kind(
        message,
        status=status,
        field=error.get("field"),
        suggestion=error.get("suggestion"),
        valid=error.get("valid"),
    )


def _campaign(campaign: Optional[str]) -> Optional[List[Tuple[str, Any]]]:
    return None if campaign is None else [("campaign", campaign)]


# ---- values ------------------------------------------------------------------------------------------------------


def encode(value: Any) -> bytes:
    """Encode a query; also takes numpy scalars, sets, bytes, datetimes, NaN and integers of any size."""
    return json.dumps(_plain(value), allow_nan=False, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if INT64_MIN <= value <= INT64_MAX else {"$int": str(value)}
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    item = getattr(value, "item", None)  # numpy scalars
    if callable(item):
        return _plain(item())
    raise QueryError(f"{value!r} of type {type(value).__name__} has no place in a query; want a number, text or a list")


def decode(data: bytes) -> Any:
    """Decode an answer; ``{"$float"}``, ``{"$int"}`` and ``{"$bytes"}`` become floats, integers and bytes."""
    return json.loads(data, object_hook=_typed)


_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _typed(value: Dict[str, Any]) -> Any:
    if len(value) != 1:
        return value
    ((key, inner),) = value.items()
    if key == "$float" and inner in _FLOATS:
        return _FLOATS[inner]
    if key == "$int" and isinstance(inner, str):
        return int(inner)
    if key == "$bytes" and isinstance(inner, str):
        import base64

        return base64.b64decode(inner)
    if key == "$map" and isinstance(inner, dict):
        return inner
    return value


# ---- the default client ------------------------------------------------------------------------------------------


def query(
    projection: Optional[Iterable[str]] = None,
    aggregation: Optional[Aggregation] = None,
    filter: Optional[Filter] = None,
    sort: Optional[Sort] = None,
    limit: Optional[int] = None,
    *,
    as_dataframe: bool = False,
) -> Any:
    """Ask the collector that `Client` finds; see `Client.query`."""
    return Client().query(projection, aggregation, filter, sort, limit, as_dataframe=as_dataframe)


@functools.wraps(query)
def query_df(*args: Any, **kwargs: Any) -> Any:
    return Client().query(*args, as_dataframe=True, **kwargs)


def task(id: str) -> Row:
    """Return one task; see `Client.task`."""
    return Client().task(id)


def lineage(
    id: Union[str, Iterable[str]], direction: str = "upstream", depth: Optional[int] = None, cost: bool = False
) -> Row:
    """Return the graph around a task; see `Client.lineage`."""
    return Client().lineage(id, direction, depth, cost)


def report(
    metric: str,
    campaign: Optional[str] = None,
    k: int = 3,
    order: str = "ascending",
    filter: Optional[Filter] = None,
    format: str = "json",
) -> Any:
    """Return the life of the best results; see `Client.report`."""
    return Client().report(metric, campaign, k, order, filter, format)


def campaigns() -> List[Row]:
    """Return the campaigns with their counts."""
    return Client().campaigns()


def workflows(campaign: Optional[str] = None) -> List[Row]:
    """Return the workflows with their counts."""
    return Client().workflows(campaign)


def completeness(campaign: Optional[str] = None) -> Row:
    """Return whether all that was observed has arrived: state, observers, and what independent witnesses counted."""
    return Client().completeness(campaign)
