"""The raw data behind tasks, by Python and by the command line, against a real server."""

from __future__ import annotations

import json
import math

import pandas
import pytest
from query_events import task

import mida
from mida import cli, originating

pytest_plugins = ["query_server"]

FAILED = {"status": "FAILED", "attributes": {"exception.type": "MemoryError", "exception.message": "no more"}}


@pytest.fixture
def scans(server, monkeypatch):
    """Eight scans, of which each was cropped and trained on; the two with the highest gain did not fit."""
    for i in range(8):
        server.load(
            task(f"scan{i}", activity="scan", used={"gain": 0.5 * i, "mode": "fast"}, generated={"drift": i / 10}),
            task(f"crop{i}", activity="crop", used={"by": 2}, generated={"rows": 10 * i}, dependencies=[f"scan{i}"]),
            task(f"fit{i}", used={"layers": i % 3}, dependencies=[f"crop{i}"], **(FAILED if i > 5 else {})),
        )
    monkeypatch.chdir(server.directory)
    return server


def test_as_a_frame(scans):
    found = mida.origins(mida.OUT_OF_MEMORY, fields=["elapsed"])
    assert isinstance(found, pandas.DataFrame) and found.contrast is None
    rows = found.set_index("task_id").sort_index()
    assert list(rows.index) == ["fit6", "fit7"]
    assert list(rows["raw.used.gain"]) == [3.0, 3.5] and list(rows["dataset.rows"]) == [60, 70]
    assert set(rows["through"]) == {"crop"} and set(rows["through.crop.by"]) == {2}
    assert set(rows["error.type"]) == {"out_of_memory"} and set(rows["elapsed"]) == {1.0}
    assert list(rows["raw.task_id"]) == ["scan6", "scan7"] and list(rows["raw.generated.drift"]) == [0.6, 0.7]
    assert "contrast" not in found[["id"]].__dict__, "a slice is an ordinary frame"


def test_what_tells_them_apart(scans):
    found = mida.origins(mida.OUT_OF_MEMORY, {"status": "FINISHED", "activity_id": "train"})
    assert found["group"].value_counts().to_dict() == {"against": 6, "filter": 2}
    gain = found.contrast.loc["raw.used.gain"]
    data = found.assign(group=(found["group"] == "filter").astype(float))[["group", "raw.used.gain"]]
    assert math.isclose(gain["value"], data.rank()["group"].corr(data.rank()["raw.used.gain"]), abs_tol=1e-9)
    assert gain["statistic"] == "spearman" and gain["n"] == 8 and gain["p"] < 0.05
    assert (gain["filter.min"], gain["filter.max"], gain["against.max"]) == (3.0, 3.5, 2.5)
    assert abs(found.contrast.loc["used.layers", "value"]) < 0.5
    assert found.contrast.loc["raw.used.mode", "reason"] == "raw.used.mode is constant among these tasks"


def test_of_a_frame_and_of_ids(scans):
    failed = mida.query_df(filter={"status": "FAILED"})
    whole = mida.origins({"status": "FAILED"})
    for tasks in (failed, failed["id"], list(failed["id"])):
        pandas.testing.assert_frame_equal(pandas.DataFrame(mida.origins(tasks)), pandas.DataFrame(whole))
    one = scans.client().origins(failed["id"][0], campaign="c1")
    assert len(one) == 1
    assert mida.origins([]).empty and mida.origins({"status": "FAILED"}, campaign="other").empty


def test_mistakes(scans):
    with pytest.raises(mida.QueryError, match="filter: neither a filter nor ids of tasks"):
        mida.origins([1, 2])
    with pytest.raises(mida.QueryError, match="limit"):
        mida.origins({"status": "FAILED"}, limit=0)
    with pytest.warns(mida.MidaWarning, match="1 of 2 tasks"):
        assert len(mida.origins({"status": "FAILED"}, limit=1)) == 1
    with pytest.warns(mida.MidaWarning, match='did you mean "used.layers"'):
        mida.origins({"status": "FAILED"}, fields="used.layrs")


def test_command(scans, capsys):
    memory = ["origins", "--campaign", "c1", "--filter", "error.type~memory|oom"]
    assert cli.main(memory) == 0
    out = capsys.readouterr().out
    assert "raw.used.gain" in out.splitlines()[0] and "raw.used.mode" not in out.splitlines()[0]
    assert "in all rows: activity_id = train, status = FAILED, error.type = out_of_memory" in out
    assert "raw.used.mode = fast" in out
    apart = [*memory, "--against", "status=FINISHED", "--against", "activity_id=train"]
    assert cli.main(apart) == 0
    shown = capsys.readouterr()
    (line,) = [line for line in shown.out.splitlines() if line.startswith("raw.used.gain")]
    assert "3 to 3.5" in line and "0 to 2.5" in line
    assert "fit6" in shown.out and "fit5" not in shown.out, "the rows are those of the question"
    assert "2 tasks against 6; " in shown.out and "raw.used.mode" in shown.err
    assert cli.main([*apart, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"]["against"] == {"tasks": 6, "total": 6}
    assert cli.main([*memory, "--format", "csv", "--fields", "elapsed"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.startswith("id,task_id,activity_id,status,error.type,error.message,elapsed,") and len(lines) == 2
    assert cli.main(["origins", "--filter", "status=CANCELLED"]) == 0
    assert capsys.readouterr().err == "no task matches\n"


def test_without_pandas(scans):
    answer = originating.ask(mida.Client(), {"status": "FAILED"})
    assert {row["task_id"] for row in answer["rows"]} == {"fit6", "fit7"}
