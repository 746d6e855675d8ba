"""Watches and annotations against a real server: each match once, also after a restart of either side."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

import pytest
from query_events import task
from query_server import Server

import mida
from mida import cli, standing, watch_cli
from mida.watching import NotDelivered

pytest_plugins = ["query_server"]

PATIENCE = 60


def loss(key, value, **more):
    return task(key, generated={"loss": value}, **more)


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Seen(queue.Queue):
    def names(self, n):
        return sorted(self.get(timeout=PATIENCE)["task_id"] for _ in range(n))


def test_each_match_once_also_after_a_restart_of_the_watch(server):
    server.load(loss("a", 0.05), loss("b", 0.5))
    seen = Seen()
    with mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client()):
        assert seen.names(1) == ["a"]
        server.load(loss("c", 0.01), loss("d", 0.9))
        assert seen.names(1) == ["c"]
    server.load(loss("e", 0.02))
    with mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client()):
        assert seen.names(1) == ["e"]
        server.load(loss("f", 0.03))
        assert seen.names(1) == ["f"]
    assert seen.empty()


def test_a_match_is_delivered_within_two_seconds_of_the_view(server):
    server.load(loss("a", 0.5))
    seen = Seen()
    with mida.watch("generated.loss < 0.1", seen.put, client=server.client()) as w:
        took = []
        for i in range(5):
            began = time.monotonic()
            server.load(loss(f"good{i}", 0.01))
            assert seen.names(1) == [f"good{i}"]
            took.append(time.monotonic() - began)
        assert w.count == 5
    assert sorted(took)[2] < 2, took  # without the stream it looks every ten seconds


def test_more_matches_than_are_looked_at_first(server, monkeypatch):
    monkeypatch.setattr(standing, "LATEST", 2)
    server.load(*(loss(f"t{i}", 0.05, started_at=(i + 1) * 10**9) for i in range(5)))
    seen = Seen()
    with mida.watch("generated.loss < 0.1", seen.put, client=server.client()):
        assert seen.names(5) == [f"t{i}" for i in range(5)]
        server.load(loss("early", 0.05, started_at=10**8), loss("late", 0.05, started_at=10**11))
        assert seen.names(2) == ["early", "late"]
    assert seen.empty()


def test_a_restart_of_the_collector(server_binary, tmp_path, no_environment):
    server = Server(server_binary, tmp_path)
    server.load(loss("a", 0.05))
    seen = Seen()
    with pytest.warns(mida.MidaWarning, match="the watch goes on") as said:
        w = mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client())
        try:
            assert seen.names(1) == ["a"]
            server.stop()
            w._news.say()
            until(lambda: len(said) > 0)
            server = Server(server_binary, tmp_path)
            server.load(loss("a", 0.05), loss("b", 0.04))
            assert seen.names(1) == ["b"]
        finally:
            w.stop()
            w.join(PATIENCE)
            server.stop()
    assert seen.empty()


def test_an_error_of_the_callback_ends_the_watch_and_is_no_delivery(server):
    server.load(loss("a", 0.05))

    def broken(match):
        raise RuntimeError("no")

    with pytest.warns(mida.MidaWarning, match="ended: no"):
        w = mida.watch("generated.loss < 0.1", broken, name="good", client=server.client())
        with pytest.raises(RuntimeError, match="no"):
            w.join(PATIENCE)
    seen = Seen()
    with mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client()):
        assert seen.names(1) == ["a"]


def test_one_name_one_watch(server):
    server.load(loss("a", 0.05))
    seen = Seen()
    with mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client()):
        seen.names(1)
        with pytest.warns(mida.MidaWarning):
            second = mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client())
            with pytest.raises(mida.MidaError, match="is running already"):
                second.join(PATIENCE)
    with pytest.warns(mida.MidaWarning):
        other = mida.watch("generated.loss < 0.2", seen.put, name="good", client=server.client())
        with pytest.raises(mida.QueryError, match="take another name"):
            other.join(PATIENCE)
    with pytest.warns(mida.MidaWarning):
        bad = mida.watch("generated.loss < 0.2", seen.put, name="../x", client=server.client())
        with pytest.raises(mida.QueryError, match="no name of a watch"):
            bad.join(PATIENCE)


def test_a_torn_line_of_what_was_delivered(server):
    server.load(loss("a", 0.05))
    seen = Seen()
    with mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client()):
        seen.names(1)
    path = os.path.join(server.state, "watches", "good.jsonl")
    with open(path, "ab") as f:
        f.write(b'"torn')
    server.load(loss("b", 0.05))
    with mida.watch("generated.loss < 0.1", seen.put, name="good", client=server.client()):
        assert seen.names(1) == ["b"]
    with open(path, encoding="utf-8") as f:
        assert len([json.loads(line) for line in f]) == 3
    assert seen.empty()


def test_from_now(server):
    server.load(loss("old", 0.05))
    seen = Seen()
    with mida.watch("generated.loss < 0.1", seen.put, name="n", from_now=True, client=server.client()):
        path = pathlib.Path(server.state, "watches", "n.jsonl")
        until(lambda: path.exists() and len(path.read_text().splitlines()) == 2)
        server.load(loss("new", 0.05))
        assert seen.names(1) == ["new"]
    assert seen.empty()


def test_what_was_not_delivered_is_tried_again(server):
    server.load(loss("old", 0.05))
    seen, refusals = Seen(), ["not now", "nor now"]

    def callback(match):
        if refusals:
            raise NotDelivered(refusals.pop())
        seen.put(match)

    with (
        pytest.warns(mida.MidaWarning, match="now"),
        mida.watch("generated.loss < 0.1", callback, name="n", from_now=True, client=server.client()),
    ):
        path = pathlib.Path(server.state, "watches", "n.jsonl")
        until(lambda: path.exists() and len(path.read_text().splitlines()) == 2)
        server.load(loss("new", 0.05))
        assert seen.names(1) == ["new"]
    assert seen.empty() and not refusals


def test_templates(server):
    server.load(*(task(f"t{i}", status="FAILED" if i < 4 else "FINISHED") for i in range(12)))
    server.load(
        {**task("slow", status="RUNNING", event="mida.task.started"), "ended_at": 0},
        task("big", telemetry={"peak": {"process.memory.usage": 3 * 2**30}}),
    )
    seen = queue.Queue()
    for text, key, want in (
        ("failure-rate=0.25", "failed", 4),
        ("stalled=60", "task_id", "slow"),
        ("memory=2GiB", "task_id", "big"),
    ):
        with mida.watch(template=text, callback=seen.put, name=text.split("=")[0], client=server.client()):
            assert seen.get(timeout=PATIENCE)[key] == want, text
    assert standing.template("failure-rate=0.9").keys(server.client()) == []
    assert standing.template("stalled=1000000000000").keys(server.client()) == []
    for text in ("failing", "stalled=soon", "failure-rate=2", "stalled=2G"):
        with pytest.raises(mida.QueryError, match="template: "):
            mida.watch(template=text, callback=seen.put, client=server.client())


def test_annotate(server):
    server.load(loss("a", 0.05), loss("b", 0.5))
    client = server.client()
    answer = client.annotate("a", note="looks good", add_tags=["good"], by="ada")
    assert (answer["tasks"], answer["by"], answer["by_source"]) == (1, "ada", "stated")
    assert client.annotate(filter={"generated.loss": 0.5}, exclude=True, why="wrong data")["tasks"] == 1
    client.annotate(campaign="c1", action="stopped", why="enough")
    assert client.task("a")["tags"] == ["good"]
    (row,) = client.query(filter={"custom.people.excluded": True}, projection=["task_id", "custom.people.log.why"])
    assert row == {"task_id": "b", "custom.people.log.why": ["wrong data"]}
    with pytest.raises(mida.QueryError, match="why: missing"):
        client.annotate("a", action="stop")


IMAGE = {
    "role": "generated",
    "entity": "file:site:/data/x.npz",
    "evidence": "path",
    "confidence": 0.95,
    "time": 100_000_000_000,
    "label": "x.npz",
}


def test_annotations_of_an_entity_are_found_by_it_its_campaign_and_its_task(server, capsys):
    server.load(task("acquire", claims=[IMAGE]), loss("a", 0.5))
    client, where = server.client(), ["--state-directory", server.state]
    answer = client.annotate(entity=IMAGE["entity"], exclude=True, why="out of focus", by="ada")
    assert (answer["entity"], answer["tasks"], answer["campaigns"]) == (IMAGE["entity"], 0, ["c1"])
    client.annotate("a", note="odd", by="bob")
    for of in ({"entity": IMAGE["entity"]}, {"id": "acquire"}):
        (said,) = client.notes(**of)
        assert (said["of"], said["label"], said["by"], said["why"]) == ("entity", "x.npz", "ada", "out of focus")
    assert [n["by"] for n in client.notes(campaign="c1")] == ["bob", "ada"]
    assert [n["by"] for n in client.notes(limit=1)] == ["bob"]
    assert cli.main(["annotate", "--entity", IMAGE["entity"], "--include", "--note", "the screen was", *where]) == 0
    assert cli.main(["notes", "--entity", IMAGE["entity"], *where]) == 0
    _, last, first = map(json.loads, capsys.readouterr().out.splitlines())
    assert (last["excluded"], first["excluded"]) == (False, True)
    assert cli.main(["annotate", "a", "--entity", IMAGE["entity"], "--note", "x", *where]) == 2
    assert "want one of them" in capsys.readouterr().err


def test_annotate_on_the_command_line(server, capsys, monkeypatch):
    server.load(loss("a", 0.05), loss("b", 0.5))
    where = ["--state-directory", server.state]
    assert cli.main(["annotate", "a", "--note", "odd", "--tag", "check", "--tag", "x", *where]) == 0
    monkeypatch.setenv("MIDA_WATCH", "bad")
    assert cli.main(["annotate", "a", "--untag", "x", *where]) == 0
    monkeypatch.delenv("MIDA_WATCH")
    only = ["--campaign", "c1", "--filter", "generated.loss>0.1"]
    assert cli.main(["annotate", *only, "--exclude", "--why", "late", *where]) == 0
    assert [json.loads(line)["tasks"] for line in capsys.readouterr().out.splitlines()] == [1, 1, 1]
    assert server.client().task("a")["tags"] == ["check"]
    assert [e.get("via") for e in server.client().task("a")["custom"]["people"]["log"]] == [None, "watch bad"]
    assert server.client().task("b")["custom"]["people"]["excluded"] is True
    assert cli.main(["annotate", "--note", "x", *where]) == 2
    assert "nothing chosen" in capsys.readouterr().err


def test_watch_on_the_command_line(server):
    server.load(loss("a", 0.05))
    out = server.directory / "out"
    code = f"import os, sys; open({str(out)!r}, 'a').write(os.environ['MIDA_WATCH'] + sys.stdin.read() + '\\n')"
    (server.directory / "note.py").write_text(code)
    run = f"{sys.executable} {server.directory / 'note.py'}"
    command = [sys.executable, "-m", "mida", "watch", "generated.loss<0.1", "--state-directory", server.state]
    process = subprocess.Popen([*command, "--name", "w", "--exec", run, "--count", "2"])
    try:
        server.load(loss("b", 0.04))
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    matches = [json.loads(line[1:]) for line in out.read_text().splitlines()]
    assert sorted(m["task_id"] for m in matches) == ["a", "b"]
    printed = subprocess.run([*command, "--count", "1"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert json.loads(printed.stdout)["task_id"] in ("a", "b")


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    server.bodies, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield server
    server.shutdown()
    server.server_close()


def test_webhook(hook):
    hook.answers[:] = [503, 429]
    watch_cli.post(hook.url, "w", {"id": "1"}, pause=0.01)
    assert hook.bodies == [{"watch": "w", "match": {"id": "1"}}] * 3
    hook.answers[:] = [500] * watch_cli.ATTEMPTS
    with pytest.raises(NotDelivered, match="it answered 500"):
        watch_cli.post(hook.url, None, {"id": "2"}, pause=0.01)
    hook.bodies.clear()
    hook.answers[:] = [410]
    with pytest.warns(mida.MidaWarning, match="refused"):
        watch_cli.post(hook.url, None, {"id": "3"}, pause=0.01)
    assert len(hook.bodies) == 1
