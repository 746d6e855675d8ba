"""The report on the best results, by Python and by the command line, against a real server."""

from __future__ import annotations

import html
import json
import pathlib

import pytest
from query_events import task

import mida
from mida import cli, reports

pytest_plugins = ["query_server"]


def test_as_data(trained):
    found = mida.report("generated.loss", k=2)
    assert [(r["rank"], r["task"]["task_id"]) for r in found["results"]] == [(1, "t5"), (2, "t4")]
    assert found["total"] == 6
    best = found["results"][0]
    assert best["value"] == best["metrics"][0]["value"]
    names = {f["name"]: f["value"] for f in best["parameters"]}
    assert names == {"layers": 3, "cfg.opt": "sgd"}
    assert best["task"]["user"] is None, "null is what nobody recorded"
    worst = mida.report("generated.loss", order=mida.DESCENDING, k=1, filter={"used.layers": {"$gt": 1}})
    assert worst["results"][0]["task"]["task_id"] == "t2"
    assert mida.report("generated.loss", campaign="another")["results"] == []


def test_as_a_page_and_as_text(trained):
    page = mida.report("generated.loss", format="html")
    assert isinstance(page, str) and page.startswith("<!doctype html>") and "<script" not in page
    shown = page._repr_html_()
    assert shown.startswith("<iframe sandbox ") and html.escape("<!doctype html>") in shown and "<h1>" not in shown
    text = mida.report("generated.loss", format="markdown")
    assert text.lstrip().startswith("# The 3 results") and "not recorded" in text


def test_mistakes(trained):
    with pytest.raises(mida.QueryError, match="format: 'pdf' is none of json, html, markdown"):
        mida.report("generated.loss", format="pdf")
    with pytest.raises(mida.QueryError, match='unknown field "loss"'):
        mida.report("loss")
    with pytest.raises(mida.QueryError, match="k: 0; want a number of results from 1 to 20"):
        mida.report("generated.loss", k=0)
    with pytest.raises(mida.QueryError, match='did you mean "ascending"'):
        mida.report("generated.loss", order="ascendng")
    assert mida.report("generated.loss", order="desc", k=1)["question"]["order"] == "descending"


def test_what_nobody_has_is_said(trained):
    found = mida.report("generated.los")
    assert found["results"] == [] and 'did you mean "generated.loss"?' in found["warnings"][0]


def test_command(trained, capsys, tmp_path, monkeypatch):
    for name, begin in (("best.html", "<!doctype html>"), ("best.md", "\n# The result with"), ("best.json", "{")):
        path = tmp_path / name
        assert cli.main(["report", "--metric", "generated.loss", "-k", "1", "-o", str(path)]) == 0
        assert path.read_text().startswith(begin)
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith(f"{path} written: ")
    assert json.loads((tmp_path / "best.json").read_text())["results"][0]["task"]["task_id"] == "t5"
    args = ["report", "--metric", "generated.loss", "--order", "descending", "--filter", "used.layers>1"]
    assert cli.main([*args, "--filter", "used.layers<3", "--format", "json", "--campaign", "c1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["task"]["task_id"] for r in found["results"]] == ["t2", "t3"]
    assert cli.main(args) == 0
    out = capsys.readouterr().out
    assert "(data:image/svg+xml;base64," in out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.main(args) == 0
    out = capsys.readouterr().out
    assert "(image: Lineage)" in out and "base64" not in out
    assert cli.main([*args, "-o", str(tmp_path / "best.pdf")]) == 2
    assert "does not say which format; want .html, .md or .json" in capsys.readouterr().err


def test_names_from_data_are_text(server, tmp_path):
    server.load(task("<script>alert(1)</script>", activity="<b>", generated={"loss": 0.5, "<i>": 1.0}))
    page = server.client().report("generated.loss", format="html")
    assert "<script" not in page and "&lt;script&gt;" in page and "<b>" not in page.replace("<b>{", "")
    path = pathlib.Path(tmp_path / "r.json")
    assert reports._format_of(str(path)) == "json"
