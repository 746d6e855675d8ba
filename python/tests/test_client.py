"""The client against a real server: the taskquery extension over SQLite, in Go."""

from __future__ import annotations

import datetime
import math
import pathlib
import socket
import subprocess
import sys
import threading

import pytest
from query_events import task

import mida
from mida import client as client_module
from mida import endpoint as endpoint_module

pytest_plugins = ["query_server"]


def test_listing_one(trained):
    rows = mida.query(
        projection=["used.layers", "generated.loss"],
        aggregation=[("min", "generated.loss")],
        filter={"workflow_name": "search", "status": "FINISHED"},
        sort=[("min(generated.loss)", mida.ASCENDING)],
        limit=2,
    )
    assert [row["used.layers"] for row in rows] == [3, 2]
    assert [row["min(generated.loss)"] for row in rows] == pytest.approx([0.1, 0.3])
    assert [row["count"] for row in rows] == [2, 2]


def test_finds_the_collector_from_a_directory_below(trained, monkeypatch):
    below = trained.directory / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert len(mida.query(projection=["id"])) == 6


def test_all_pages(trained, monkeypatch):
    monkeypatch.setattr(client_module, "PAGE", 2)
    rows = mida.query(projection=["task_id"], sort=["task_id"])
    assert [r["task_id"] for r in rows] == [f"t{i}" for i in range(6)]
    rows = mida.query(projection=["task_id"], sort=[("task_id", mida.DESCENDING)], limit=3)
    assert [r["task_id"] for r in rows] == ["t5", "t4", "t3"]


def test_whole_tasks(trained):
    (row,) = mida.query(filter={"task_id": "t0"})
    assert row["used"] == {"layers": 1, "cfg": {"opt": "sgd"}}
    assert row["started_at"] == 100.5
    assert row["elapsed"] == 1.0
    assert mida.task("t0")["upstream"] == []
    assert mida.task(row["id"])["task_id"] == "t0"
    (campaign,) = mida.campaigns()
    assert (campaign["campaign_id"], campaign["tasks"], campaign["by_status"]) == ("c1", 6, {"FINISHED": 6})
    (workflow,) = mida.workflows("c1")
    assert (workflow["workflow_id"], workflow["workflow_name"], workflow["tasks"]) == ("w1", "search", 6)
    assert mida.workflows("other") == []
    assert mida.completeness()["observers"] == []


def test_typed_values(server):
    values = {
        "nan": {"$float": "NaN"},
        "inf": {"$float": "-Infinity"},
        "int": {"$int": str(2**70)},
        "bytes": {"$bytes": "AAE="},
        "map": {"$map": {"$float": "text"}},
        "cut": {"$cut": {"type": "str", "length": 3}},
        "whole": 1.0,
        "text": "Å𝛼\u2028\n",
    }
    server.load(task("a", used=values))
    (row,) = server.client().query(projection=["used"])
    used = row["used"]
    assert math.isnan(used["nan"])
    assert used["inf"] == -math.inf
    assert used["int"] == 2**70
    assert used["bytes"] == b"\x00\x01"
    assert used["map"] == {"$float": "text"}
    assert used["cut"] == {"$cut": {"type": "str", "length": 3}}
    assert isinstance(used["whole"], float)
    assert used["text"] == "Å𝛼\u2028\n"
    for name, value in (("nan", math.nan), ("inf", -math.inf), ("int", 2**70), ("bytes", b"\x00\x01"), ("whole", 1)):
        assert len(server.client().query(filter={f"used.{name}": value})) == 1, name


def test_values_of_python(trained):
    numpy = pytest.importorskip("numpy", reason="numpy scalars are tested where numpy is")
    assert len(mida.query(filter={"used.layers": numpy.int64(2)})) == 2
    assert len(mida.query(filter={"used.layers": {"$in": {1, 2}}})) == 4
    at = datetime.datetime(1970, 1, 1, 0, 1, 41, tzinfo=datetime.timezone.utc)
    assert len(mida.query(filter={"started_at": {"$lt": at}})) == 6
    with pytest.raises(mida.QueryError, match="has no place in a query"):
        mida.query(filter={"used.layers": object()})


def test_dataframe(trained):
    pandas = pytest.importorskip("pandas", reason="a DataFrame needs pandas")
    frame = mida.query_df(projection=["task_id", "used.layers", "used.nothing"], sort=["task_id"])
    assert list(frame.columns) == ["task_id", "used.layers", "used.nothing"]
    assert list(frame["used.layers"]) == [1, 1, 2, 2, 3, 3]
    frame = mida.query(aggregation=[("max", "generated.loss")], projection=["used.layers"], as_dataframe=True)
    assert list(frame.columns) == ["used.layers", "max(generated.loss)", "count"]
    whole = mida.query_df()
    assert isinstance(whole, pandas.DataFrame)
    assert {"used.layers", "used.cfg.opt", "generated.loss", "status"} <= set(whole.columns)
    empty = mida.query_df(projection=["task_id"], filter={"task_id": "none"})
    assert list(empty.columns) == ["task_id"] and len(empty) == 0
    wide = mida.query_df(projection=["task_id", "used.*", "status"], sort=["task_id"])
    assert list(wide.columns) == ["task_id", "used.cfg.opt", "used.layers", "status"]
    assert list(wide["used.layers"]) == [1, 1, 2, 2, 3, 3]
    none = mida.query_df(filter={"task_id": "none"})
    assert len(none) == 0 and len(none[none["status"] == "FAILED"]) == 0


def test_mistakes_come_with_a_hint(trained):
    with pytest.raises(mida.QueryError, match='did you mean "status"') as caught:
        mida.query(filter={"statsu": "FINISHED"})
    assert (caught.value.field, caught.value.suggestion, caught.value.status) == ("filter.statsu", "status", 400)
    assert "used.*" in caught.value.valid
    with pytest.raises(mida.QueryError, match="want a list such as"):
        mida.query(projection="task_id")
    for limit in (0, 2.5):
        with pytest.raises(mida.QueryError, match="want 1 or more"):
            mida.query(limit=limit)
    for aggregation in ("min(generated.loss)", ["min(generated.loss)"], ("min", "generated.loss")):
        with pytest.raises(mida.QueryError, match="aggregation: .* want a list of pairs"):
            mida.query(aggregation=aggregation)
    for sort in ("ended_at", ("ended_at", "descending"), ["ended_at", -1]):
        with pytest.raises(mida.QueryError, match=r"want one such as \[\('ended_at', mida.DESCENDING\)\]"):
            mida.query(sort=sort)
    with pytest.raises(mida.NotFoundError, match="nosuch"):
        mida.task("nosuch")
    with pytest.raises(mida.QueryError, match='did you mean "downstream"'):
        mida.lineage("t0", direction="downstraem")


def test_values_left_out_are_warned_about(server):
    server.load(task("a", generated={"loss": "bad"}), task("b", generated={"loss": 1}))
    with pytest.warns(mida.MidaWarning, match="1 not a number"):
        rows = server.client().query(aggregation=[("avg", "generated.loss")])
    assert rows == [{"avg(generated.loss)": 1.0, "count": 2}]


def test_lineage(server):
    image = {
        "role": "generated",
        "entity": "file:x/image.npz",
        "evidence": "path",
        "confidence": 0.95,
        "time": 101_000_000_000,
    }
    server.load(
        task("acquire", claims=[image]),
        task(
            "train",
            started_at=110_000_000_000,
            ended_at=120_000_000_000,
            claims=[{**image, "role": "used", "time": 110_000_000_000, "field": "used.image", "label": "image.npz"}],
        ),
    )
    graph = server.client().lineage("train")
    assert {t["task_id"] for t in graph["tasks"]} == {"acquire", "train"}
    (link,) = graph["links"]
    assert (link["entity"], link["evidence"], link["field"]) == ("file:x/image.npz", "path", "used.image")
    (upstream,) = server.client().task("train")["upstream"]
    assert upstream["task_id"] == "acquire"
    down = server.client().lineage("acquire", direction="downstream", depth=1)
    assert {t["task_id"] for t in down["tasks"]} == {"acquire", "train"}


def test_assign_delete_backup(trained):
    client = trained.client()
    before = {r["id"] for r in client.query(projection=["id"])}
    assert client.assign("c2", filter={"used.layers": 3}) == 2
    assert client.assign("c2", filter={"used.layers": 3}) == 0
    assert {c["campaign_id"]: c["tasks"] for c in client.campaigns()} == {"c1": 4, "c2": 2}
    assert {r["id"] for r in client.query(projection=["id"])} == before
    assert client.assign("c3", workflows=["search"]) == 6
    backup = trained.directory / "backup.db"
    client.backup(str(backup))
    assert backup.stat().st_size > 0
    with pytest.raises(mida.QueryError, match="exist"):
        client.backup(str(backup))
    assert client.delete_campaign("c3") == 6
    with pytest.raises(mida.NotFoundError, match="c3"):
        client.delete_campaign("c3")
    with pytest.raises(mida.QueryError, match="says which tasks"):
        client.assign("c4", filter={})


def test_token(trained, monkeypatch):
    url = trained.client().endpoint
    with pytest.raises(mida.AuthenticationError, match="the one that was sent comes from the argument token"):
        mida.Client(endpoint=url, token="wrong").campaigns()
    monkeypatch.setenv("MIDA_TOKEN", "wrong")
    with pytest.raises(mida.AuthenticationError, match="the one that was sent comes from MIDA_TOKEN"):
        mida.campaigns()
    for bad in ("tök€n", "a\nb"):
        with pytest.raises(mida.UnreachableError, match="characters that no token has"):
            mida.Client(endpoint=url, token=bad)
    monkeypatch.delenv("MIDA_TOKEN")
    token = pathlib.Path(trained.state, "token").read_text().strip()
    assert mida.Client(endpoint=url, token=token).campaigns()
    # The local collector's address finds its token; another's does not get it.
    assert mida.Client(endpoint=url).campaigns()
    monkeypatch.chdir("/")
    monkeypatch.setenv("MIDA_ENDPOINT", url)
    with pytest.raises(mida.AuthenticationError, match="MIDA_TOKEN"):
        mida.campaigns()
    monkeypatch.setenv("MIDA_TOKEN", token)
    assert mida.campaigns()
    # A proxy has another loopback.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert mida.campaigns()


def test_nobody_there(tmp_path, monkeypatch, no_environment):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mida.UnreachableError, match="no collector found"):
        mida.query()
    with pytest.raises(mida.UnreachableError, match="want one such as"):
        mida.Client(endpoint="ftp://host")
    assert mida.Client(endpoint="node-3").endpoint == "http://node-3:4340"
    state = tmp_path / "mida-data"
    state.mkdir()
    (state / "endpoint.json").write_text('{"url": "http://127.0.0.1:9", "pid": 2147483646}')
    with pytest.raises(mida.UnreachableError, match="its process 2147483646 has ended"):
        mida.query()
    (state / "endpoint.json").write_text("nonsense")
    with pytest.raises(mida.UnreachableError, match="is not what a collector writes"):
        mida.query()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "it answered no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "what it answered is no JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{", "it answered no HTTP"),
        (b"", "closed connection"),
    ],
)
def test_another_server_answers(answer, reason, no_environment):
    """A port that belongs to another program is an error that says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(mida.UnreachableError, match=reason):
            mida.Client(endpoint=f"http://127.0.0.1:{port}", token="t").campaigns()
        thread.join(60)


def test_files_of_others_are_passed_over(tmp_path, monkeypatch, no_environment):
    state = tmp_path / "mida-data"
    state.mkdir()
    target = tmp_path / "elsewhere.json"
    target.write_text('{"url": "http://127.0.0.1:9"}')
    (state / "endpoint.json").symlink_to(target)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mida.UnreachableError, match="belongs to another user"):
        mida.query()
    (state / "endpoint.json").unlink()
    (state / "endpoint.json").write_text('{"url": "http://127.0.0.1:9"}')
    monkeypatch.setattr(endpoint_module.os, "geteuid", lambda: 12345)
    if (state / "endpoint.json").stat().st_uid != 0:
        with pytest.raises(mida.UnreachableError, match="belongs to another user"):
            mida.query()


def test_import_is_light():
    code = (
        "import sys, mida; print(sorted(m for m in sys.modules if m.startswith(('mida', 'urllib.request', 'pandas'))))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['mida']"


def test_names():
    for name in mida.__all__:
        assert getattr(mida, name) is not None
    with pytest.raises(AttributeError):
        mida.nothing  # noqa: B018
