"""What the routes beside queries answer about a campaign: two stores that hold the same must say the same."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mida

from .collector import Collector, free_port
from .poll import until

CAMPAIGN = "microscopy"
FILTER = json.dumps({"campaign_id": CAMPAIGN})
TRAINED = json.dumps({"campaign_id": CAMPAIGN, "activity_id": "train_model"})
BEST = {"campaign_id": CAMPAIGN, "metric": "generated.mse", "k": 3}
ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("campaigns", {}),
    ("workflows", {"campaign": CAMPAIGN}),
    ("fields", {"filter": FILTER}),
    ("fields", {"filter": TRAINED}),
    ("timeline", {"filter": FILTER}),
    ("timeline", {"filter": FILTER, "by": "worker", "sample": 20}),
    ("timeline", {"filter": FILTER, "by": "used.layers"}),
    ("lineage/activities", {"filter": FILTER}),
    ("lineage/activities", {"filter": FILTER, "sample": 30}),
    ("correlation", {"campaign_id": CAMPAIGN, "y": "generated.*,telemetry_peak.*,elapsed"}),
    ("correlation", {"filter": TRAINED, "method": "spearman"}),
    ("correlation", {"filter": TRAINED, "x": "used.layers,used.learning_rate,host", "y": "elapsed,started_at"}),
    ("correlation/scatter", {"campaign_id": CAMPAIGN, "x": "elapsed", "y": "started_at"}),
    ("correlation/scatter", {"filter": TRAINED, "x": "used.layers", "y": "generated.accuracy", "limit": 5}),
    ("report", BEST),
    ("report", {**BEST, "order": "descending"}),
]
# What two processes may say differently: when they said it.
OF_THE_MOMENT = {"made_at", "generated_at"}


def view_only(workdir: Path, store: dict) -> Collector:
    """Return a collector that serves a view and observes nothing."""
    workdir.mkdir()
    address = f"127.0.0.1:{free_port()}"
    config = {
        "extensions": {
            "taskstore": {"stores": {"main": store}},
            "taskquery": {"endpoint": "${env:MIDA_QUERY_ENDPOINT}", "state_directory": "${env:MIDA_DATA}"},
        },
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": address}}}},
        "exporters": {"taskstore": {"store": "main"}},
        "service": {
            "extensions": ["taskstore", "taskquery"],
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["taskstore"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    return Collector(workdir, [config])


def differing_routes(first: mida.Client, second: mida.Client) -> list[str]:
    """Name where the answers of two views differ."""
    found = []
    for path, params in ROUTES:
        answers = [
            client.get(f"/api/v1/{path}", [(k, str(v)) for k, v in params.items()]) for client in (first, second)
        ]
        found += [f"{path} {params}: {text}" for text in different(*answers)]
    return found


def different(a: Any, b: Any, at: str = "") -> Iterator[str]:
    """Name where two answers differ. Sums of floats may differ in their last digits, by the order of the tasks."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key not in OF_THE_MOMENT:
                yield from different(a.get(key, "(missing)"), b.get(key, "(missing)"), f"{at}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from different(x, y, f"{at}[{i}]")
    elif isinstance(a, float) and isinstance(b, float):
        if abs(a - b) > 1e-9 * max(1.0, abs(a), abs(b)):
            yield f"{at}: {a!r} and {b!r}"
    elif a != b or type(a) is not type(b):
        yield f"{at}: {str(a)[:300]!r} and {str(b)[:300]!r}"


def steer(client: mida.Client) -> dict[str, Any]:
    """Watch, annotate, and listen to the changes; return what was seen, without moments and random ids."""
    seen: list[str] = []
    wanted = {row["id"] for row in client.query(["id"], filter={"campaign_id": CAMPAIGN, "generated.mse": {"$gt": 0}})}
    assert wanted
    watch = client.watch("generated.mse > 0", lambda match: seen.append(match["id"]), campaign=CAMPAIGN)
    with Changes(client) as changes:
        until(lambda: set(seen) == wanted, 60, "every match of the watch")
        client.annotate(sorted(wanted)[:2], note="looks odd", add_tags=["check"], by="ada", via="a test")
        client.annotate(filter={"used.layers": 2}, campaign=CAMPAIGN, exclude=True, why="wrong calibration", by="ada")
        client.annotate(campaign=CAMPAIGN, action="stopped the search", why="it is enough", by="ada")
        until(lambda: CAMPAIGN in changes.campaigns, 60, "the change that the annotation made")
    watch.stop()
    watch.join(60)
    assert sorted(seen) == sorted(wanted), "a match came twice"
    rows = client.query(
        ["id", "tags", "custom.people.excluded", "custom.people.log.note", "custom.people.log.why"],
        filter={"custom.people.log.by": "ada", "kind": {"$ne": "people"}},
        sort=["id"],
    )
    of_campaign = client.query(["activity_id", "campaign_id", "custom.people.log.action"], filter={"kind": "people"})
    return {"matches": sorted(seen), "tasks": rows, "campaign": of_campaign}


class Changes:
    """The campaigns that a stream says to have changed, while it is open."""

    def __init__(self, client: mida.Client) -> None:
        token = (Path(client.state_directory) / "token").read_text().strip()
        request = urllib.request.Request(
            f"{client.endpoint}/api/v1/stream", headers={"Authorization": f"Bearer {token}"}
        )
        self.campaigns: set[str] = set()
        self._answer = urllib.request.urlopen(request, timeout=60)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        try:
            for line in self._answer:
                if line.startswith(b"data: "):
                    self.campaigns |= {c["campaign_id"] for c in json.loads(line[6:]).get("campaigns", [])}
        except (OSError, ValueError, AttributeError):
            pass  # it was closed

    def __enter__(self) -> Changes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
