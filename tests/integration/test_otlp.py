"""A program with an ordinary OpenTelemetry SDK appears as tasks of the same view."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from support.campaign import Running, script_environment
from support.collector import Collector, free_port
from support.ids import task_id
from support.poll import until
from support.spans import base
from support.view import read_links, read_view

SCRIPT = Path(__file__).resolve().parent / "scripts" / "otel_program.py"


@pytest.fixture
def collector(tmp_path):
    port = free_port()
    config = base({"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}})
    config["connectors"] = {"tasks": {"default_campaign": "spectroscopy"}}
    config["service"]["pipelines"] = {
        "traces": {"receivers": ["otlp"], "exporters": ["tasks"]},
        "logs": {"receivers": ["tasks"], "processors": ["provenance"], "exporters": ["taskstore"]},
    }
    with Collector(tmp_path, [config]) as running:
        running.otlp = f"http://127.0.0.1:{port}"
        yield running


def test_spans_of_others_become_tasks(collector):
    """Workflow = trace, task = span; both keep their ids; attributes become what was used and generated."""
    target = collector.workdir / "spans.json"
    env = script_environment(None, OTEL_EXPORTER_OTLP_ENDPOINT=collector.otlp)
    command = [sys.executable, SCRIPT, target]
    with Running(command, collector.workdir, env, collector.workdir / "program.log") as program:
        program.finish(180)
    spans = {s["span"]: s for s in json.loads(target.read_text())}
    client = collector.client()
    tasks = until(
        lambda: (t := read_view(client).tasks) and len(t) >= len(spans) and t,
        20,
        "a task for each span",
    )
    tasks = {t["task_id"]: t for t in tasks.values()}
    assert tasks.keys() == spans.keys(), "a request that a server answered is no task"
    for key, span in spans.items():
        task = tasks[key]
        assert task["kind"] == "otel" and task["activity_id"] == span["name"]
        assert task["id"] == task_id("otel", span["trace"], key)
        assert task["scope"] == task["workflow_id"] == span["trace"]
        assert task["workflow_name"] == "spectra" and task["campaign_id"] == "spectroscopy"
        assert task["status"] == ("FAILED" if span["failed"] else "FINISHED")
        assert abs(task["started_at"] - span["start"] / 1e9) < 1e-6
        assert abs(task["ended_at"] - span["end"] / 1e9) < 1e-6
        parent = span["parent"] and task_id("otel", span["trace"], span["parent"])
        assert task.get("parent") == parent
    by_name = {s["name"]: tasks[key] for key, s in spans.items()}
    assert by_name["load"]["used"] == {"path": "/data/spectrum_17.h5"}
    assert by_name["load"]["generated"] == {"points": 4096}
    assert by_name["fit"]["used"] == {"peaks": 3, "tolerance": 1e-4}
    assert by_name["fit"]["generated"] == {"residual": 0.0625, "converged": True}
    assert by_name["fit"]["attributes"]["fit.method"] == "trf"
    assert by_name["publish"]["error"]["message"] == "the archive is closed"
    assert by_name["publish"]["error"]["type"] == "RuntimeError"
    links = read_links(client, [t["id"] for t in tasks.values()])
    assert {(link.source, link.target) for link in links} == {(by_name["load"]["id"], by_name["fit"]["id"])}
