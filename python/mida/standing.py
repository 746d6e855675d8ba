"""Standing queries: what a watch looks for, and its templates."""

from __future__ import annotations

import re
import time
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from . import expressions
from .client import PAGE, Client
from .errors import QueryError

__all__ = ["TEMPLATES", "Query", "Standing", "template"]

Match = Dict[str, Any]

OUT_OF_MEMORY = ("gpu_out_of_memory", "out_of_memory", "oom_killed")
MEMORY_FIELDS = ("process.memory.usage", "container.memory.usage")
TOGETHER = 100  # tasks that are read at a time
LATEST = 1000  # matches that are looked at first


class Standing:
    """Something to look for: matches have keys, by which each is delivered once."""

    name: Any = None

    def keys(self, client: Client) -> List[str]:
        """Return the keys of all that matches now."""
        raise NotImplementedError

    def latest(self, client: Client) -> Tuple[List[str], bool]:
        """Return keys of what probably came last, and whether that is all."""
        return self.keys(client), True

    def matches(self, client: Client, keys: List[str]) -> Iterable[Tuple[str, Match]]:
        """Return those of the matches that are still there."""
        raise NotImplementedError


class Query(Standing):
    """Tasks that match a filter."""

    def __init__(self, query: Union[str, Mapping[str, Any]], campaign: Optional[str] = None, name: Any = None) -> None:
        self.filter = expressions.parse_filter(query) if isinstance(query, str) else dict(query)
        if not self.filter and campaign is None:
            raise QueryError("watch: an empty query matches every task; want a condition or a campaign")
        if campaign is not None:
            self.filter = {"$and": [{"campaign_id": campaign}, *([self.filter] if self.filter else [])]}
        self.name = name or self.filter

    def _now(self) -> Dict[str, Any]:
        return self.filter

    def keys(self, client: Client) -> List[str]:
        found: List[str] = []
        body: Dict[str, Any] = {"filter": self._now(), "projection": ["id"], "limit": PAGE}
        while True:
            answer = client.page(body)
            found.extend(row["id"] for row in answer["rows"])
            if not answer.get("next_cursor") or not answer["rows"]:
                return found
            body["cursor"] = answer["next_cursor"]

    def latest(self, client: Client) -> Tuple[List[str], bool]:
        sort = [["started_at", "descending"]]
        answer = client.page({"filter": self._now(), "projection": ["id"], "sort": sort, "limit": LATEST})
        return [row["id"] for row in answer["rows"]], answer["total"] <= len(answer["rows"])

    def matches(self, client: Client, keys: List[str]) -> Iterable[Tuple[str, Match]]:
        for at in range(0, len(keys), TOGETHER):
            chosen = {"$and": [{"id": {"$in": keys[at : at + TOGETHER]}}, self._now()]}
            for row in client.page({"filter": chosen, "limit": TOGETHER})["rows"]:
                yield row["id"], row


class Stalled(Query):
    """Tasks that have been running for long."""

    def __init__(self, seconds: float, campaign: Optional[str]) -> None:
        self._seconds = seconds
        super().__init__(
            {"status": "RUNNING"}, campaign, name={"template": "stalled", "of": seconds, "campaign": campaign}
        )

    def _now(self) -> Dict[str, Any]:
        return {"$and": [self.filter, {"started_at": {"$lt": max(0.0, time.time() - self._seconds)}}]}


class FailureRate(Standing):
    """Workflows of which too large a part has failed."""

    LEAST = 10  # tasks that have ended

    def __init__(self, rate: float, campaign: Optional[str]) -> None:
        self._rate, self._campaign = rate, campaign
        self.name = {"template": "failure-rate", "of": rate, "campaign": campaign}

    def _rows(self, client: Client) -> Dict[str, Match]:
        rows = {}
        for w in client.workflows(self._campaign):
            failed = w["by_status"].get("FAILED", 0)
            ended = failed + w["by_status"].get("FINISHED", 0)
            if ended >= self.LEAST and failed / ended >= self._rate:
                row = {k: w[k] for k in ("campaign_id", "workflow_id", "workflow_name")}
                row.update(failed=failed, ended=ended, rate=failed / ended)
                rows[f"{w['campaign_id']}/{w['workflow_id']}"] = row
        return rows

    def keys(self, client: Client) -> List[str]:
        return list(self._rows(client))

    def matches(self, client: Client, keys: List[str]) -> Iterable[Tuple[str, Match]]:
        rows = self._rows(client)
        return [(key, rows[key]) for key in keys if key in rows]


def _memory(of: Optional[float], campaign: Optional[str]) -> Standing:
    any_of: List[Dict[str, Any]] = [{"error.type": {"$in": list(OUT_OF_MEMORY)}}]
    if of is not None:
        any_of += [{f"telemetry_peak.{field}": {"$gte": of}} for field in MEMORY_FIELDS]
    return Query({"$or": any_of}, campaign, name={"template": "memory", "of": of, "campaign": campaign})


TEMPLATES = {
    "failure-rate": "workflows of which this part has failed, of at least 10 tasks that ended (default: 0.2)",
    "stalled": "tasks that have been running for so many seconds (default: 3600)",
    "memory": "tasks that ended for want of memory or, with a number such as 12GiB, used so much",
}

_UNITS = {"": 1.0, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?")


def template(text: str, campaign: Optional[str] = None) -> Standing:
    """Return the standing query of ``NAME`` or ``NAME=NUMBER``."""
    name, _, number = text.partition("=")
    if name not in TEMPLATES:
        valid = list(TEMPLATES)
        raise QueryError(f"template: {name!r} is unknown; valid: {', '.join(valid)}", field="template", valid=valid)
    of: Optional[float] = None
    if number:
        match = _SIZE.fullmatch(number)
        if match is None or (match.group(2) and name != "memory"):
            raise QueryError(f"template: {number!r} is no number for {name}", field="template")
        of = float(match.group(1)) * _UNITS[match.group(2)]
    if name == "memory":
        return _memory(of, campaign)
    if name == "stalled":
        return Stalled(3600.0 if of is None else of, campaign)
    rate = 0.2 if of is None else of
    if not 0 < rate <= 1:
        raise QueryError(
            f"template: {number!r} is no part of a workflow; want a number above 0, up to 1", field="template"
        )
    return FailureRate(rate, campaign)
