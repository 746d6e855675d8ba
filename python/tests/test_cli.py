"""The command line against a real server."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys

import pytest
from query_events import task

from mida import cli, expressions
from mida.errors import QueryError

pytest_plugins = ["query_server"]


def run(*args, stdin="", cwd=None, env=None):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mida", *args],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=60,
    )


def ok(capsys, *args):
    """Run the command in this process; return what it printed."""
    assert cli.main(args) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def wrong(capsys, code, *args):
    assert cli.main(args) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_query_as_json(trained, capsys):
    query = '{"projection": ["task_id", "generated.loss"], "filter": {"used.layers": 3}, "sort": ["task_id"]}'
    rows = json.loads(ok(capsys, "query", query, "--format", "json"))
    assert [r["task_id"] for r in rows] == ["t4", "t5"]


def test_query_by_flags(trained, capsys):
    out = ok(
        capsys,
        "query",
        "--filter",
        "used.layers>=2",
        "--filter",
        "status=FINISHED",
        "--fields",
        "used.layers",
        "--aggregate",
        "max(generated.loss)",
        "--sort",
        "max(generated.loss):desc",
    )
    lines = [line.split() for line in out.splitlines()]
    assert lines == [
        ["used.layers", "max(generated.loss)", "count"],
        ["2", "0.4", "2"],
        ["3", "0.2", "2"],
    ]


def test_query_forms(trained, capsys):
    out = ok(
        capsys,
        "query",
        "--fields",
        "task_id,used.cfg,started_at",
        "--sort=-task_id",
        "--limit",
        "1",
        "--format",
        "csv",
    )
    assert list(csv.reader(io.StringIO(out))) == [
        ["task_id", "used.cfg", "started_at"],
        ["t5", '{"opt": "sgd"}', "100.5"],
    ]
    assert cli.main(["query", "--limit", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].split() == [
        "id",
        "task_id",
        "workflow_name",
        "activity_id",
        "status",
        "started_at",
        "elapsed",
    ]
    assert captured.err == "2 of 6 tasks; --limit 0 shows all\n"
    assert len(json.loads(ok(capsys, "query", "--limit", "0", "--format", "json"))) == 6
    whole = list(csv.DictReader(io.StringIO(ok(capsys, "query", "--format", "csv"))))
    assert {row["used.layers"] for row in whole} == {"1", "2", "3"}


def test_query_from_standard_input(trained):
    done = run("query", "-", "--format", "json", stdin='{"projection": ["task_id"], "limit": 1}', cwd=trained.directory)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 1


def test_mistakes(trained, capsys):
    assert 'did you mean "status"' in wrong(capsys, 2, "query", "--filter", "statsu=FAILED")
    assert "is not JSON" in wrong(capsys, 2, "query", "{")
    assert "behind --filter: --filter 'used.layers>2'" in wrong(capsys, 2, "query", "used.layers>2")
    assert "not a JSON object" in wrong(capsys, 2, "query", "[]")
    assert "unknown key; valid: projection" in wrong(capsys, 2, "query", '{"cursor": "x"}')
    assert "--limit: -1" in wrong(capsys, 2, "query", "--limit", "-1")
    assert "want one such as used.layers>2" in wrong(capsys, 2, "query", "--filter", "used.layers")
    assert "want one such as min(generated.loss)" in wrong(capsys, 2, "query", "--aggregate", "min")
    assert '"nosuch"' in wrong(capsys, 1, "task", "nosuch")
    assert "want --workflow or --filter" in wrong(capsys, 2, "campaign", "assign", "c2")
    with pytest.raises(SystemExit) as caught:
        cli.main(["querry"])
    assert caught.value.code == 2


def test_status(trained, capsys):
    trained.load(
        task("r", event="mida.task.started", status="RUNNING", ended_at=0, workflow_id="w2", workflow_name="evaluate"),
        {
            "event": "mida.observer.checkpoint",
            "time": 200_000_000_000,
            "campaign": "c1",
            "observer": "node-1/17",
            "record": {"last_seq": 0, "dropped": [], "final": False},
        },
    )
    out = ok(capsys, "status")
    assert out.startswith("c1: 7 tasks, 6 finished, 1 running\n")
    assert ["evaluate", "test", "1", "1", "0"] in [line.split()[:5] for line in out.splitlines()]
    assert "0 complete, 0 missing, 1 unknown" in out
    assert "node-1/17: open since its checkpoint of 1970-01-01" in out
    status = json.loads(ok(capsys, "status", "--campaign", "c1", "--format", "json"))
    assert set(status) == {"campaigns", "workflows", "completeness"}
    said = ok(capsys, "status", "--campaign", "other")
    assert "holds no tasks yet; there is c1.\n" in said and "mida doctor" in said


def checkpoint(observer, last, final, **more):
    return {
        "event": "mida.observer.checkpoint",
        "time": 200_000_000_000,
        "campaign": "c1",
        "observer": observer,
        "record": {"last_seq": last, "final": final, "host": "node-3", **more},
    }


def test_completeness(server, capsys, monkeypatch):
    """Each state with its exit status; what is missing is named with its observer and host."""
    monkeypatch.chdir(server.directory)
    assert cli.main(["completeness", "--campaign", "c1"]) == 2
    assert capsys.readouterr().out == "c1: unknown\n  no observer has reported\n"
    server.load(task("a", observer="whole", seq=1), checkpoint("whole", 1, True))
    assert cli.main(["completeness", "--campaign", "c1"]) == 0
    assert capsys.readouterr().out == "c1: complete\n  complete: 1 of 1 observers\n"
    server.load(task("b", observer="open", seq=1), checkpoint("open", 1, False))
    assert cli.main(["completeness"]) == 2
    out = capsys.readouterr().out
    assert out.startswith("all campaigns: unknown, complete up to 1970-01-01")
    assert "unknown: observer open on node-3: open since its checkpoint of 1970-01-01" in out
    server.load(task("c", observer="lost", seq=5), checkpoint("lost", 6, True, dropped=[[1, 2, "queue full"]]))
    assert cli.main(["completeness", "--campaign", "c1"]) == 1
    lost = (
        "events 1 to 2 dropped (queue full); events 3 to 4 did not arrive; event 6 did not arrive; 5 of 6 events in all"
    )
    assert f"missing: observer lost on node-3: {lost}\n" in capsys.readouterr().out
    assert cli.main(["completeness", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["missing"] == 1
    assert cli.main(["completeness", "--endpoint", "http://127.0.0.1:9"]) == 3


def test_what_a_result_cost(server, capsys, monkeypatch):
    monkeypatch.chdir(server.directory)

    def used(joules, **more):
        energy = {"task.energy": joules, "task.energy.cpu": joules, "task.co2e": joules / 1e4}
        delta = {"process.cpu.time": 3600.0, **energy}
        return {"telemetry": {"delta": {**delta, **more}, "coverage": {"process.cpu.time": "exclusive"}}}

    server.load(
        task("acquire", activity="acquire"),
        task("train", dependencies=["acquire"], generated={"loss": 0.1}, **used(9000.0, **{"task.gpu.time": 1800.0})),
        task("worse", dependencies=["acquire"], generated={"loss": 0.4}, **used(1000.0)),
        task("model", activity="export", dependencies=["train"], **used(500.0)),
    )
    out = ok(capsys, "lineage", "model", "--cost")
    assert "this cost 10,500 J, 1.05 g CO2e, 3 CPU-hours, 0.5 GPU-hours\n" in out
    assert "4 tasks, of which 1 say nothing of their energy and 1 nothing of their CPU time\n" in out
    assert "discarded trials included: 1 train, with 1,000 J, 1 CPU-hours\n" in out
    out = ok(capsys, "lineage", "acquire", "--cost")
    assert "this cost unknown energy, unknown CO2e, unknown CPU time, no GPU\n" in out
    assert "no discarded trials are known" in out
    assert server.client().lineage("model", depth=1, cost=True)["cost"]["lineage"]["tasks"] == 3


def test_lineage_and_task(server, capsys, monkeypatch):
    monkeypatch.chdir(server.directory)
    image = {"entity": "file:x/image.npz", "evidence": "path", "confidence": 0.95, "label": "image.npz"}
    server.load(
        task("acquire", claims=[{**image, "role": "generated", "time": 101_000_000_000}]),
        task("train", started_at=110_000_000_000, ended_at=120_000_000_000, claims=[{**image, "role": "used"}]),
        task("evaluate", started_at=130_000_000_000, dependencies=["train", "acquire"]),
    )
    out = ok(capsys, "lineage", "evaluate")
    assert out.splitlines()[0] == "search / train / evaluate (FINISHED)"
    assert "    <- image.npz [path 0.95] search / train / acquire (FINISHED)" in out
    assert ok(capsys, "lineage", "acquire", "--direction", "downstream", "--depth", "1").count("->") == 2
    assert "came from:" in ok(capsys, "lineage", "train", "--direction", "both")
    assert ok(capsys, "lineage", "acquire").endswith("\n  (nothing that it came from is known)\n")
    assert "(nothing that it led to is known)" in ok(capsys, "lineage", "evaluate", "--direction", "downstream")
    assert "(nothing" not in ok(capsys, "lineage", "train", "--direction", "both")
    assert '"nosuch"' in wrong(capsys, 1, "lineage", "nosuch")
    assert len(json.loads(ok(capsys, "lineage", "train", "--format", "json"))["links"]) == 1
    assert json.loads(ok(capsys, "task", "train"))["upstream"][0]["task_id"] == "acquire"


def test_care(trained, capsys):
    assert ok(capsys, "campaign", "assign", "c2", "--filter", "used.layers=1") == "2 tasks assigned to c2\n"
    assert ok(capsys, "campaign", "assign", "c2", "--workflow", "search") == "4 tasks assigned to c2\n"
    assert ok(capsys, "backup", "copy.db") == f"{trained.directory / 'copy.db'} written\n"
    assert "exists already" in wrong(capsys, 2, "backup", "copy.db")
    unasked = run("delete", "--campaign", "c2", cwd=trained.directory)
    assert (unasked.returncode, unasked.stdout) == (2, "") and "want --yes" in unasked.stderr
    assert cli.main(["campaign", "assign", "c2", "--workflow", "serach"]) == 0
    assert capsys.readouterr() == (
        "0 tasks assigned to c2\n",
        "no task matches that is not there already; `mida status` shows the workflows\n",
    )
    assert 'there is no campaign "c3"' in wrong(capsys, 1, "delete", "--campaign", "c3", "--yes")
    assert ok(capsys, "delete", "--campaign", "c2", "--yes") == "6 tasks deleted\n"


def test_delete_asks(trained, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    questions = []

    def answer(text):
        def given(question):
            questions.append(question)
            if text is None:
                raise EOFError
            return text

        monkeypatch.setattr("builtins.input", given)

    for no in ("", "n", None):
        answer(no)
        assert cli.main(["delete", "--campaign", "c1"]) == 1
        assert "nothing was deleted" in capsys.readouterr().err
    assert questions[0].startswith("Delete campaign 'c1' with 6 tasks at http://127.0.0.1:")
    answer("y")
    assert ok(capsys, "delete", "--campaign", "c1") == "6 tasks deleted\n"


def test_nothing_is_explained(trained, capsys):
    """An empty answer says so, and says when a name that the user's programs choose is one that no task has."""

    def said(*args):
        assert cli.main(["query", *args]) == 0
        return capsys.readouterr()

    assert said("--filter", "status=FAILED").err == "no task matches\n"
    assert said("--filter", "used.layers>7").err == "no task matches\n"
    assert said("--filter", "used.layres>2").err == (
        'mida: warning: used.layres: no task has this field; did you mean "used.layers"?\nno task matches\n'
    )
    assert said('{"filter": {"$or": [{"used.x": 1}, {"used.y": {"$exists": true}}]}}').err == (
        "mida: warning: used.x: no task has this field; there is used.cfg.opt, used.layers, used.opt\n"
        "mida: warning: used.y: no task has this field; there is used.cfg.opt, used.layers, used.opt\n"
        "no task matches\n"
    )
    assert 'used.loss: no task has this field; did you mean "generated.loss"?' in said("--filter", "used.loss<1").err
    assert 'did you mean "generated.loss"?' in said("--aggregate", "min(generated.lss)").err
    assert 'did you mean "generated.loss"?' in said("--fields", "task_id,generated.los").err
    assert said("--fields", "task_id,used.layers").err == ""
    assert said("--filter", "status=FAILED", "--format", "csv").out.startswith("id,task_id,kind,campaign_id,")
    nothing = said("--filter", "status=FAILED", "--format", "json")
    assert (nothing.out, nothing.err) == ("[]\n", "")


def test_campaign_and_columns(trained, capsys):
    trained.load(task("o", campaign="c9", used={"lr": 0.1}))
    out = ok(capsys, "query", "--campaign", "c9", "--fields", "task_id,used.*", "--format", "csv")
    assert out == "task_id,used.lr\no,0.1\n"
    out = ok(
        capsys, "query", "--campaign", "c1", "--filter", "used.layers=1", "--fields", "used.*,task_id", "--sort=task_id"
    )
    assert out.splitlines()[0].split() == ["used", "task_id"]
    assert ok(capsys, "query", "--campaign", "c1", "--filter", "used.lr>0", "--fields", "task_id") == "task_id\n"


def test_help(capsys):
    """Each command explains itself, also every option."""
    for words in (
        [],
        ["query"],
        ["status"],
        ["task"],
        ["lineage"],
        ["correlation"],
        ["delete"],
        ["backup"],
        ["campaign"],
        ["campaign", "assign"],
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main([*words, "--help"])
        assert caught.value.code == 0
        out = capsys.readouterr().out
        options = [line for line in out.splitlines() if line.startswith("  -")]
        lines = out.splitlines()
        for line in options:
            after = lines[lines.index(line) + 1 : lines.index(line) + 2]
            assert "  " in line.strip() or (after and after[0].startswith(" " * 20)), f"{words}: {line} says nothing"
    with pytest.raises(SystemExit):
        cli.main(["query", "--help"])
    assert "--fields used.layers --aggregate 'min(generated.loss)'" in capsys.readouterr().out


def test_where_the_endpoint_stands(trained, capsys, monkeypatch):
    """--endpoint and --state-directory mean the same before and behind the command."""
    monkeypatch.chdir("/")
    for args in (["--state-directory", trained.state, "status"], ["status", "--state-directory", trained.state]):
        assert ok(capsys, *args).startswith("c1: 6 tasks")
    for args in (["--endpoint", "http://127.0.0.1:9", "status"], ["status", "--endpoint", "http://127.0.0.1:9"]):
        assert "no collector answers at http://127.0.0.1:9 (the endpoint given): " in wrong(capsys, 1, *args)
        assert cli.main(args) == 1
        assert "Errno" not in capsys.readouterr().err


def test_reader_that_goes_away(trained):
    command = f"{sys.executable} -m mida query --format json; echo $? >&2"
    script = f"set -o pipefail; ({command}) | true"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=trained.directory, timeout=60)
        assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
        assert done.stderr.split()[-1] in ("141", "0")


def test_interrupt(monkeypatch, capsys):
    def interrupted(_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_client", interrupted)
    assert cli.main(["status"]) == 128 + signal.SIGINT


def test_nobody_there(tmp_path, no_environment):
    done = run("status", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mida: no collector found") and "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="the collector is a shell script here")
def test_rules_and_copy_run_the_collector(tmp_path):
    fake = tmp_path / "collector"
    fake.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    fake.chmod(0o755)
    done = run("rules", "test", "--config", "x.yaml", "a.log", env={"MIDA_BIN": str(fake)})
    assert (done.returncode, done.stdout) == (3, "rules test --config x.yaml a.log\n")
    done = run("copy", "--from", "a.db", "--to", "b.db", env={"MIDA_BIN": str(fake)})
    assert (done.returncode, done.stdout) == (3, "copy --from a.db --to b.db\n")
    done = run("rules", "--help", env={"MIDA_BIN": str(fake)})
    assert (done.returncode, done.stdout) == (3, "rules --help\n")
    done = run("rules", "test", "a.log", env={"MIDA_BIN": str(tmp_path / "nothing")})
    assert done.returncode == 1 and "MIDA_BIN" in done.stderr


@pytest.mark.parametrize(
    ("text", "filter"),
    [
        ("used.layers>2", {"used.layers": {"$gt": 2}}),
        ("used.layers >= 2.5", {"used.layers": {"$gte": 2.5}}),
        ("status=FAILED", {"status": {"$eq": "FAILED"}}),
        ("status==FAILED", {"status": {"$eq": "FAILED"}}),
        ("used.name != a=b", {"used.name": {"$ne": "a=b"}}),
        ("used.flag=true", {"used.flag": {"$eq": True}}),
        ('used.text="1"', {"used.text": {"$eq": "1"}}),
        ("used.none=null", {"used.none": {"$eq": None}}),
        ("generated.loss=NaN", {"generated.loss": {"$eq": {"$float": "NaN"}}}),
        ("activity_id~^tr.*n$", {"activity_id": {"$regex": "^tr.*n$"}}),
        ("started_at<2026-11-22T00:00:00Z", {"started_at": {"$lt": "2026-11-22T00:00:00Z"}}),
        ('{"$or": [{"status": "FAILED"}]}', {"$or": [{"status": "FAILED"}]}),
    ],
)
def test_conditions(text, filter):
    assert expressions.parse_filter(text) == filter


def test_sorts():
    assert expressions.parse_sort("ended_at") == ["ended_at", "ascending"]
    assert expressions.parse_sort("-ended_at") == ["ended_at", "descending"]
    assert expressions.parse_sort("min(generated.loss):desc") == ["min(generated.loss)", "desc"]
    with pytest.raises(QueryError):
        expressions.parse_sort("")
