"""A campaign that gets its name only afterwards, by scripts that ran twice in one directory; and the command line."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest

from support.campaign import start_campaign
from support.collector import Collector
from support.observed import demo_collector, differences, readable, settle, without_campaign
from support.poll import until_none
from support.truth import read_truth
from support.view import read_view

NAME = "defects of MoS2"


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("twice")
    with demo_collector(workdir, without_campaign()) as running:
        for _ in range(2):
            with start_campaign(workdir, running.data / "journal", rounds=1) as campaign:
                campaign.finish(300)
        left = settle(running, workdir, campaign=None)
        assert not left, readable(left)
        yield running


def mida(collector: Collector, *arguments: str, code: int = 0, **options) -> str:
    """Run the command line where its user would: in the campaign's directory."""
    done = subprocess.run(
        [sys.executable, "-m", "mida", *arguments],
        cwd=collector.workdir,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == code, f"mida {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if code == 0 else done.stderr


def test_two_runs_and_no_mixed_task(collector):
    """Two runs appended to one log and one database; equal keys and numbers stay apart."""
    truth = read_truth(collector.workdir)
    assert (len(truth.calls), len(truth.runs), len(truth.images)) == (56, 10, 24)
    tasks = read_view(collector.client()).tasks.values()
    for kind, scopes in (("dask", 2), ("log", 2), ("mlflow", 1)):
        assert len({t.get("scope", "") for t in tasks if t["kind"] == kind}) == scopes
    assert not any(t.get("campaign_id") for t in tasks)
    schedulers = {c.scheduler for c in truth.calls.values()}
    keys = [{c.record["key"] for c in truth.calls.values() if c.scheduler == s} for s in schedulers]
    assert keys[0] & keys[1], "the second run has keys of the first"


def test_assigned_afterwards(collector):
    """`mida campaign assign` moves the workflows; nothing else about them changes."""
    names = ["acquire", "search", "defect detection", "round 1"]
    arguments = [part for name in names for part in ("--workflow", name)]
    print(mida(collector, "campaign", "assign", NAME, *arguments))
    truth = read_truth(collector.workdir)
    left = until_none(lambda: differences(collector, truth, NAME), 60)
    assert not left, readable(left)
    campaigns = {c["campaign_id"]: c["tasks"] for c in collector.client().campaigns() if c["tasks"]}
    assert campaigns == {NAME: truth.activities}


def test_a_restart_keeps_what_people_said(collector):
    """What is read again after a restart does not take the assignment back."""
    collector.kill()
    collector.start()
    truth = read_truth(collector.workdir)
    left = until_none(lambda: differences(collector, truth, NAME), 60)
    assert not left, readable(left)


def test_query_on_the_command_line(collector):
    """Listing 1, as a person types it; mistakes name the field and what would be valid."""
    listing = ("--fields", "used.layers,generated.loss", "--aggregate", "min(generated.loss)")
    filters = ("--filter", "activity_id=train", "--filter", "status=FINISHED")
    rows = json.loads(mida(collector, "query", *listing, *filters, "--format", "json"))
    rows = rows["rows"] if isinstance(rows, dict) else rows
    assert {r["used.layers"] for r in rows} == {1, 2, 3}
    assert sum(r["count"] for r in rows) == 48
    table = mida(collector, "query", *listing, *filters)
    assert "used.layers" in table and "min(generated.loss)" in table
    wrong = mida(collector, "query", "--filter", "activty_id=train", code=2)
    assert "activty_id" in wrong and "activity_id" in wrong


def test_status_on_the_command_line(collector):
    """The status names campaign, workflows and observers."""
    text = mida(collector, "status")
    for word in (NAME, "acquire", "search", "round 1", "observers:"):
        assert word in text, text


def test_lineage_on_the_command_line(collector):
    """The lineage of an evaluation ends at the image files."""
    client = collector.client()
    row = client.query(filter={"kind": "mlflow", "custom.run_name": "model_latest"}, limit=1)[0]
    text = mida(collector, "lineage", row["id"])
    for word in ("publish", "train", "make_dataset", "acquire_image"):
        assert word in text, text


def test_backup(collector, tmp_path):
    """A backup is a database of its own with all tasks."""
    target = tmp_path / "copy.db"
    mida(collector, "backup", str(target))
    with sqlite3.connect(target) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = mida(collector, "backup", str(target), code=2)
    assert "exist" in again


def test_delete_last(collector):
    """Deleting the campaign removes its tasks, and says how many."""
    count = read_truth(collector.workdir).activities
    text = mida(collector, "delete", "--campaign", NAME, "--yes")
    assert str(count) in text
    assert not read_view(collector.client(), {"campaign_id": NAME}).tasks
    missing = mida(collector, "delete", "--campaign", NAME, "--yes", code=1)
    assert NAME in missing
