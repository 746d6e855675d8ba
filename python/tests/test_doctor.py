"""The command ``mida doctor``, against the real query API, and without one."""

from __future__ import annotations

import json

from query_events import task

from mida.cli import main

pytest_plugins = ["query_server"]


def test_link(trained, capsys):
    """Two tasks that have nothing in common: what each has, and why values are no link."""
    assert main(["doctor", "--link", "t0", "t1"]) == 1
    said = capsys.readouterr().out
    assert "t1 (train) does not come from t0 (train):" in said
    assert "generated.loss" in said and "values:" in said
    assert main(["doctor", "--link", "t0", "t1", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["linked"] is False
    assert main(["doctor", "--link", "t0", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err


def test_nothing_is_observed(trained, capsys):
    """A collector without observers says so."""
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "collector: answers at http://127.0.0.1:" in said and "nothing is observed" in said


def test_campaign(server, monkeypatch, capsys):
    """The campaigns that there are, where the one asked for has no task."""
    server.load(task("t", campaign="search"))
    monkeypatch.chdir(server.directory)
    assert main(["doctor", "--campaign", "serach"]) == 1
    said = capsys.readouterr().out
    assert 'no task is in the campaign "serach"' in said and 'did you mean "search"?' in said


def test_no_collector(tmp_path, no_environment, monkeypatch, capsys):
    """Nobody answers: what to start, and where."""
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 3
    said = capsys.readouterr()
    assert "no collector found" in said.err and "mida up" in said.out


def test_wrong_token(trained, monkeypatch, capsys):
    """Where the right token is."""
    monkeypatch.setenv("MIDA_TOKEN", "wrong")
    assert main(["doctor"]) == 3
    said = capsys.readouterr()
    assert "token" in said.err and "mida-data/token" in said.out
