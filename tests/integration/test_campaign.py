"""The demo campaign under a collector: the view equals what really happened, while it runs and at the end."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from support import correlations
from support.campaign import Running, start_campaign
from support.collector import Collector
from support.compare import identify
from support.dossier import compare_result, ranked
from support.ids import span_id, task_id, trace_id
from support.links import expected_links, show, upstream_of
from support.notebooks import execute, page_of, pictures_of, text_of
from support.observed import demo_collector, readable, settle, snapshot
from support.poll import until
from support.spans import SpanSink, attributes
from support.truth import Truth, read_truth, seconds


@dataclasses.dataclass
class Campaign:
    """A campaign that has been observed."""

    collector: Collector
    truth: Truth
    left: list
    running: list
    sink: SpanSink


def watch_running(collector: Collector, campaign: Running) -> list[dict]:
    """Ask, while the campaign runs, for the tasks that run."""
    query = {"activity_id": "train", "status": "RUNNING"}
    client = collector.client()

    def rows() -> list[dict]:
        assert campaign.running, campaign.tail()
        return client.query(filter=query)

    return until(rows, 180, "a training that is seen while it runs", interval=0.05)


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("campaign")
    sink = SpanSink(workdir / "sink")
    with sink.collector, demo_collector(workdir, sink.overlay) as collector:
        with start_campaign(workdir, workdir / "mida-data" / "journal") as campaign:
            running = watch_running(collector, campaign)
            campaign.finish(400)
        left = settle(collector, workdir)
        yield Campaign(collector, read_truth(workdir), left, running, sink)


def test_view_equals_ground_truth(observed):
    """Every call, run and image, with values and types; every link, in both directions; nothing else."""
    assert not observed.left, readable(observed.left)
    truth = observed.truth
    assert (len(truth.calls), len(truth.runs), len(truth.images)) == (43, 10, 18)


def test_running_tasks_are_visible(observed):
    """A query while the search ran answered with trainings in the middle of their work."""
    for task in observed.running:
        assert task["used"]["layers"] in (1, 2, 3)
        assert task["started_at"] > 0 and "ended_at" not in task and "generated" not in task


def test_scripts_know_nothing_of_us():
    """The three scripts, and what they import of their own, hold no word of this project."""
    from support.collector import EXAMPLE

    for name in ("acquire.py", "search.py", "evaluate.py", "labbook.py", "run_campaign.sh"):
        text = (EXAMPLE / name).read_text()
        assert not re.search(r"mida|otel|opentelemetry|dask_distributed__|preload", text, re.IGNORECASE), name


def test_least_loss_per_layers(observed):
    """The paper's Listing 1 equals what the lab book gives."""
    want: dict[int, list] = {}
    for call in observed.truth.calls.values():
        if call.record["function"] == "train" and call.record["status"] == "finished":
            layers = call.record["arguments"]["layers"]
            want.setdefault(layers, []).append(call.record["result"]["loss"])
    rows = observed.collector.client().query(
        projection=["used.layers", "generated.loss"],
        aggregation=[("min", "generated.loss")],
        filter={"activity_id": "train", "status": "FINISHED"},
        sort=[("min(generated.loss)", "ascending")],
    )
    got = {r["used.layers"]: (r["min(generated.loss)"], r["count"]) for r in rows}
    assert got == {layers: (min(losses), len(losses)) for layers, losses in want.items()}
    losses = [r["min(generated.loss)"] for r in rows]
    assert losses == sorted(losses)


TRAININGS = {"activity_id": "train", "status": "FINISHED"}
TELEMETRY = ["telemetry_peak.process.memory.usage", "telemetry_delta.process.cpu.time", "elapsed"]


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_correlations_equal_those_of_pandas(observed, method):
    """Hyperparameters with metrics as the lab book has them, and with telemetry and time as the view shows them."""
    client = observed.collector.client()
    book = correlations.lab_book(observed.truth)
    metrics = client.correlation(filter=TRAININGS, method=method)
    assert correlations.compare(metrics, book, method) >= 18, metrics
    for field in ("used.optimizer", "used.dataset.dataset_path"):
        assert set(metrics.statistics.loc[field, ["generated.loss", "elapsed"]]) == {"eta"}
    assert "constant" in metrics.reasons.loc["used.seed", "generated.loss"]
    parameters = [name for name in correlations.numbers(book) if name.startswith("used.")]
    view = client.query_df([*parameters, *TELEMETRY], filter=TRAININGS)
    resources = client.correlation(parameters, TELEMETRY, filter=TRAININGS, method=method)
    assert correlations.compare(resources, view, method) >= 18, resources


def test_notebook(observed):
    """The notebook runs in the campaign's directory without a change, and shows what the lab book says."""
    cells = [c for c in execute("microscopy.ipynb", observed.collector.workdir).cells if c.cell_type == "code"]
    shown = "\n".join(text_of(cell) for cell in cells)
    book = correlations.lab_book(observed.truth)
    for least in book.groupby("used.layers")["generated.loss"].min():
        assert f"{least:.6f}" in shown
    assert "make_dataset (dask)" in shown and "declared" in shown
    assert "used.seed is constant among these tasks" in shown
    (page,) = [page_of(cell) for cell in cells if cell.source.startswith("dossier =")]
    pairs, _ = identify(observed.truth, snapshot(observed.collector))
    best = ranked(observed.truth, {name: task["id"] for name, task in pairs.items()}, 3)
    for name in best:
        assert name[2] in page and f"plots/{observed.truth.runs[name].record['name']}.png" in page
    assert "<script" not in page and page.count('<img src="data:image/png;base64,') >= 3
    pictures = [picture for cell in cells for picture in pictures_of(cell)]
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"] * 3


def test_lineage_of_every_evaluation(observed):
    """Each evaluated model leads to the task that wrote that version, and on to exactly the images it was made of."""
    truth, client = observed.truth, observed.collector.client()
    links = expected_links(truth)
    names = {}
    for task in snapshot(observed.collector).tasks.values():
        for name in (*truth.calls, *truth.runs):
            if task["kind"] == name[0] and task["task_id"] == name[2] and task.get("scope", "") == name[1]:
                names[task["id"]] = name
    for name, run in truth.runs.items():
        if "model" not in run.record:
            continue
        graph = client.lineage(task_id(*name))
        found = {names.get(t["id"]) for t in graph["tasks"] if t["kind"] != "log"} - {name}
        want = upstream_of(links, name)
        wanted = {n for n in want if n[0] != "log"}
        assert found == wanted, f"{show(name, truth)}: {found ^ wanted}"
        images = [t for t in graph["tasks"] if t["kind"] == "log"]
        assert len(images) == len({n for n in want if n[0] == "log"}), show(name, truth)


def test_report_on_the_best_models(observed):
    """The life of every evaluated model: exactly the tasks, files, parameters and plots of the lab books."""
    truth, client = observed.truth, observed.collector.client()
    pairs, _ = identify(truth, snapshot(observed.collector))
    ids = {name: task["id"] for name, task in pairs.items()}
    found = client.report("generated.mse", campaign="microscopy", k=8)
    want = ranked(truth, ids, 8)
    assert len(want) == found["total"] == 8 and not found["warnings"]
    for rank, (name, result) in enumerate(zip(want, found["results"], strict=True), start=1):
        assert result["rank"] == rank and not result["omitted"]
        assert not compare_result(truth, ids, name, result), readable(compare_result(truth, ids, name, result))
        assert {"training: train/validation split", "training: container"} <= set(result["not_recorded"])
    page = client.report("generated.mse", campaign="microscopy", format="html")
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == sum(
        len(r["plots"]) for r in found["results"][:3]
    )
    assert "search.py --round 2 --seed 1" in page and "<script" not in page


def test_task_shows_its_direct_upstream(observed):
    """The document of an evaluation names, with evidence, where its model and images came from."""
    truth, client = observed.truth, observed.collector.client()
    name, run = next((n, r) for n, r in truth.runs.items() if r.record["name"] == "model_latest")
    document = client.task(task_id(*name))
    want = {source for source, target in expected_links(truth) if target == name}
    assert len({u["id"] for u in document["upstream"]}) == len(want)
    for link in document["upstream"]:
        assert link["evidence"] in ("path", "digest", "declared", "id") and 0.5 < link["confidence"] <= 1
    assert run.record["model"]["path"] == "models/model_latest.pkl"


def test_environment_is_recorded_once_per_process(observed):
    """Each Dask task leads to the environment of its worker process: user, directory, Python, packages."""
    client = observed.collector.client()
    found = set()
    for row in client.query(filter={"kind": "dask"}):
        environment = row["environment"]
        assert environment["cwd"] == str(observed.collector.workdir), environment
        assert environment["packages"]["distributed"] and environment["python"], environment
        assert any(part.endswith("search.py") for part in environment["argv"]), environment
        found.add(json.dumps(environment, sort_keys=True))
    assert len(found) == 2, "one of the search in each round"


def test_every_task_says_what_it_used(observed):
    """Dask's tasks what is theirs; runs and images at least what their host did."""
    for task in snapshot(observed.collector).tasks.values():
        used, covers = task.get("telemetry_delta", {}), task.get("telemetry_coverage", {})
        if task["kind"] == "dask":
            assert used.get("process.cpu.time", -1) >= 0, task
            assert covers["process.cpu.time"].startswith(("exclusive", "thread")), task
        elif task["kind"] == "mlflow":
            assert covers and all(c.startswith("host") for c in covers.values()), task


def test_completeness(observed):
    """Every observer of Dask said that it was done, and all that it saw has arrived."""
    complete = observed.collector.client().completeness()
    assert complete["missing"] == 0, complete
    dask = [o for o in complete["observers"] if o["observer"].startswith("dask-")]
    assert len(dask) == 6  # scheduler and two workers, twice
    assert all(o["state"] == "complete" and o["last_seq"] == o["arrived"] for o in dask)


def test_witnesses_agree(observed):
    """What scheduler, MLflow database and log count by themselves equals the view; only the pollers are still open."""
    truth = observed.truth

    log = observed.collector.workdir / "logs"
    size = sum(path.stat().st_size for path in log.iterdir())

    def agreed() -> dict:
        got = observed.collector.client().completeness("microscopy")
        assert len(got["witnesses"]) == 10 and all(w["state"] == "complete" for w in got["witnesses"]), got
        assert got["state"] == "unknown" and got["complete_up_to"] > 0, got
        # What an earlier checkpoint says is complete, too, up to its time.
        found = {w["what"].partition(",")[0]: w["found"] for w in got["witnesses"]}
        assert found["runs counted in the MLflow database"] == len(truth.runs), got
        assert found["bytes of the log"] == size, got
        return got

    got = until(agreed, 60, "witnesses that agree", interval=0.5)
    counts: dict[str, int] = {}
    for w in got["witnesses"]:
        what = w["what"].partition(",")[0]
        counts[what] = counts.get(what, 0) + w["found"]
        assert w["found"] == w["expected"], w
    finished = [c for c in truth.calls.values() if c.record["status"] == "finished"]
    assert counts["tasks that the Dask scheduler saw finish"] == len(finished)
    assert counts["workers in the Dask cluster"] == 4  # two rounds
    assert counts["runs counted in the MLflow database"] == counts["MLflow runs that were read"] == len(truth.runs)
    params = sum(len(r.record["params"]) for r in truth.runs.values())
    assert counts["params and inputs of MLflow runs that were read"] >= params > 0
    assert counts["bytes of the log"] == size
    assert {o["observer"].partition("@")[0] for o in got["observers"] if o["state"] != "complete"} == {
        "mlflow",
        "tasklog",
    }


def test_workflows_have_names(observed):
    """Scripts, experiments and parent runs are workflows that people recognise."""
    names = {w["workflow_name"] for w in observed.collector.client().workflows()}
    assert {"acquire", "search", "defect detection", "round 1", "round 2"} <= names, names


def spans_of(observed: Campaign) -> list[dict]:
    """Wait for the span of every execution."""
    truth = observed.truth
    attempts = sum(1 if c.record["status"] == "finished" else 1 + c.record["retries"] for c in truth.calls.values())
    want = attempts + len(truth.runs) + len(truth.images)

    def arrived() -> list[dict]:
        spans = observed.sink.spans()
        return spans if len(spans) >= want else []

    spans = until(arrived, 30, f"{want} spans at the OTLP receiver")
    assert len(spans) == want
    return spans


def test_finished_tasks_are_valid_spans(observed):
    """What the connector sends is a valid span for each execution, under the ids that the data model gives."""
    spans = spans_of(observed)
    ids = {(s["traceId"], s["spanId"]) for s in spans}
    assert len(ids) == len(spans)
    for span in spans:
        assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and int(span["traceId"], 16)
        assert re.fullmatch("[0-9a-f]{16}", span["spanId"]) and int(span["spanId"], 16)
        assert span["name"] and span["kind"] == 1, span
        assert 1.7e18 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        status = attributes(span["attributes"])["mida.task.status"]
        assert span["status"].get("code") == {"FINISHED": 1, "FAILED": 2}[status]
        parent = span.get("parentSpanId")
        assert not parent or (span["traceId"], parent) in ids
    failed = [s for s in spans if s["status"].get("code") == 2]
    assert any(e["name"] == "exception" for s in failed for e in s.get("events", []))
    for name, call in observed.truth.calls.items():
        if call.record["status"] == "finished":
            assert (trace_id("dask", name[1]), span_id(*name)) in ids


def test_spans_carry_links(observed):
    """Links of spans lead to spans that exist, say what they are, and are those of the ground truth."""
    spans, truth = spans_of(observed), observed.truth
    by_id = {(s["traceId"], s["spanId"]): s for s in spans}
    want = expected_links(truth)
    named = {}
    for name in (*truth.calls, *truth.runs):
        named[span_id(*name)] = name
    found = set()
    for span in spans:
        for link in span.get("links", []):
            assert (link["traceId"], link["spanId"]) in by_id, (span["name"], link)
            evidence = attributes(link["attributes"])["mida.link.evidence"]
            assert evidence in ("declared", "path", "digest", "id"), link
            ends = named.get(link["spanId"]), named.get(span["spanId"])
            if None not in ends:
                assert ends in want, (ends, link)
                found.add(ends)
    declared = {(source, target) for source, target in want if source[0] == target[0] == "dask"}
    finished = {n for n, call in truth.calls.items() if call.record["status"] == "finished"}
    assert found >= {(source, target) for source, target in declared if target in finished}


def test_times_lie_within_the_campaign(observed):
    """No clock of an observer is off: all tasks lie between the first and the last note of the lab books."""
    notes = [seconds(c.record["submitted"]) for c in observed.truth.calls.values()]
    notes += [i.logged_start for i in observed.truth.images.values()]
    for task in snapshot(observed.collector).tasks.values():
        assert task["started_at"] >= min(notes) - 1, task
