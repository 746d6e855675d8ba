"""What the view holds: every task and every link, as the query API returns them."""

from __future__ import annotations

import dataclasses

import mida


@dataclasses.dataclass
class Link:
    """A link of the view; both ends are ids."""

    source: str
    target: str
    entity: str
    evidence: str
    confidence: float
    doubt: str | None


@dataclasses.dataclass
class View:
    """Tasks by their unique id."""

    tasks: dict[str, dict]

    def of_kind(self, kind: str) -> list[dict]:
        """Return the tasks of one tool."""
        return [t for t in self.tasks.values() if t["kind"] == kind]


def read_view(client: mida.Client, filter: dict | None = None) -> View:
    """Read all tasks, whole; several with one id are an error of the store."""
    rows = client.query(filter=filter or {})
    tasks = {row["id"]: row for row in rows}
    assert len(tasks) == len(rows), "the view holds an id twice"
    return View(tasks)


def read_links(client: mida.Client, ids: list[str], direction: str = "upstream") -> list[Link]:
    """Read the links one step away from tasks."""
    found: dict[tuple, Link] = {}
    for start in range(0, len(ids), 100):
        part = ids[start : start + 100]
        graph = client.lineage(part, direction=direction, depth=1)
        assert not graph["truncated"], "the lineage was truncated"
        for raw in graph["links"]:
            link = Link(
                raw["from"],
                raw["to"],
                raw["entity"],
                raw["evidence"],
                raw["confidence"],
                raw.get("doubt"),
            )
            here = link.target if direction == "upstream" else link.source
            if here in part:
                found[link.source, link.target, link.entity] = link
    return list(found.values())
