"""Our side: the collector as its users start it, from journals or OTLP into a store, until the view has every task."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from measured import Cost, Void, Watch, size
from workload import copy_journals, deliver

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.collector import Collector, free_port  # noqa: E402
from support.poll import until as until  # noqa: E402

CONFIGS = ROOT / "distributions" / "otelcol-mida"
SLOW = 10.0  # seconds of a question that is not repeated
PROBE = 0.05  # seconds between two looks whether all has arrived
CAMPAIGN = "bench"
QUERIES = {
    "Listing 1": {
        "projection": ["used.layers", "generated.loss"],
        "aggregation": [["min", "generated.loss"]],
        "sort": [["used.layers", "ascending"]],
    },
    "list page": {"sort": [["ended_at", "descending"]], "limit": 100},
}


class Server:
    """A running search server, as far as it is asked directly."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        """Return the answer to a request."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    def count(self, index: str) -> int:
        """Return how many documents can be found."""
        self.ask("POST", f"/{index}/_refresh")
        return self.ask("GET", f"/{index}/_count")["count"]

    def bytes(self, prefix: str) -> int:
        """Return the size of indices."""
        stats = self.ask("GET", f"/{prefix}-*/_stats/store")
        return stats["_all"]["primaries"]["store"]["size_in_bytes"]

    def remove(self, prefix: str) -> None:
        """Delete indices and templates."""
        for index in self.ask("GET", f"/{prefix}*"):
            self.ask("DELETE", f"/{index}")
        for path in (f"/_index_template/{prefix}*", f"/_data_stream/{prefix}*"):
            with contextlib.suppress(urllib.error.HTTPError):  # there is none
                self.ask("DELETE", path)


class Pipeline:
    """One run of the collector into a new store.

    Parameters
    ----------
    work : Path
        An empty directory, which the run fills.
    server : Server, optional
        Where the view is kept; without one in SQLite.
    prefix : str
        Begins the names of its indices there.
    """

    def __init__(self, work: Path, server: Server | None, prefix: str, claims: bool = True) -> None:
        self._server, self._prefix = server, prefix
        self.otlp_port = free_port()
        env = {"MIDA_CAMPAIGN": CAMPAIGN, "MIDA_SITE": "bench.site"}
        configs: list = [CONFIGS / "laptop.yaml"]
        if server:
            configs.append(CONFIGS / "elasticsearch.yaml")
            env |= {"MIDA_ELASTICSEARCH": server.url, "MIDA_INDEX_PREFIX": prefix}
        otlp = {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.otlp_port}"}}}},
            "service": {
                "pipelines": {
                    "logs/otlp": {
                        "receivers": ["otlp"],
                        "processors": ["provenance"] if claims else [],
                        "exporters": ["taskstore"],
                    }
                }
            },
        }
        self.collector = Collector(work, [*configs, CONFIGS / "metrics.yaml", otlp], env=env)
        self.database = self.collector.data / "mida.db"

    def __enter__(self) -> Pipeline:
        self.collector.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.collector.__exit__(kind)

    def from_journals(self, journals: Path, tasks: int, events: int) -> Cost:
        """Let it read journals that are ready, and return what that cost."""
        aside = self.collector.data / "ready"
        copy_journals(journals, aside)
        inbox = self.collector.data / "journal"
        for host in aside.iterdir():
            (inbox / host.name).mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._consume(lambda: deliver(aside, inbox), tasks, events)

    def from_otlp(self, load: Path, journals: Path, tasks: int) -> Cost:
        """Send it the events of journals, one a task, and return what that cost."""
        with Sender(load, journals, self.otlp_port) as sender:
            return self._consume(sender.send, sender.expect(tasks), 1)

    def _consume(self, begin: Callable[[], None], tasks: int, events: int) -> Cost:
        client, collector = self.collector.client(timeout=120), self.collector
        # The first question makes a server's indices, which the others find made, too.
        if client.query(["status"], aggregation=[["count", "id"]]):
            raise Void("the view was not empty")
        watch = Watch(collector.pid, self._server.pid if self._server else None)
        begin()
        last, seen = 0.0, time.monotonic()
        counts = [["count", "generated.loss"], ["count", "started_at"], ["count", "submitted_at"]]
        wanted = [{"status": "FINISHED", "count": tasks, "count(generated.loss)": tasks, "count(started_at)": tasks}]
        wanted[0]["count(submitted_at)"] = tasks if events == 3 else 0
        rows: list = []

        def all_there() -> bool:
            """Ask the view only when enough was committed: questions cost, too."""
            nonlocal last, seen, rows
            written = collector.metric("exporter_taskstore_events_written")
            if written != last:
                last, seen = written, time.monotonic()
            if time.monotonic() - seen > 120:
                raise Void(f"nothing was written for 120 s: {written:.0f} of {events * tasks} events; {rows}")
            if written < events * tasks:
                return False
            rows = client.query(["status"], aggregation=counts)
            return rows == wanted

        while not all_there():
            if not collector.running:
                raise Void(f"the collector ended with {collector.exit_code}\n{collector.tail()}")
            time.sleep(PROBE)
        return watch.stop(tasks)

    def size(self) -> int:
        """Return the bytes of its store."""
        return self._server.bytes(self._prefix) if self._server else size(self.database)

    def ask(self, repeats: int = 5) -> dict[str, float]:
        """Return the median seconds of questions, after one of each that is not counted. Slow ones are asked once."""
        client = self.collector.client(timeout=300)
        found = client.query(["id"], filter={"activity_id": "evaluate"}, limit=repeats + 1)
        asked: dict[str, list[Callable[[], object]]] = {
            name: [lambda body=body: client.page(body)] * (repeats + 1) for name, body in QUERIES.items()
        }
        asked["lineage"] = [lambda id=row["id"]: client.lineage(id, depth=10) for row in found]
        out = {}
        for name, calls in asked.items():
            took = []
            for call in calls:
                start = time.perf_counter()
                call()
                took.append(time.perf_counter() - start)
                if took[-1] > SLOW:
                    break
            out[name] = statistics.median(took[1:] or took)
        return out


class Sender:
    """Sends task events of journals as OTLP: requests made before, a thousand records each, four at a time."""

    def __init__(self, load: Path, journals: Path, port: int) -> None:
        self._command = [str(load), "otlp", "-journal", str(journals), "-url", f"http://127.0.0.1:{port}"]

    def __enter__(self) -> Sender:
        self._process = subprocess.Popen(
            self._command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the sender ended early: {self._process.stderr.read()}")
        self._records = json.loads(line)["records"]
        return self

    def expect(self, tasks: int) -> int:
        """Return the number of records, which must be that of the tasks."""
        if self._records != tasks:
            raise Void(f"{self._records} records for {tasks} tasks")
        return tasks

    def send(self) -> None:
        """Begin."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._process.kill()
        _, errors = self._process.communicate(timeout=60)
        if kind is None and self._process.returncode:
            raise SystemExit(f"the sender failed: {errors}")
