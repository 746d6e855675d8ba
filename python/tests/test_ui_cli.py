"""``mida ui`` against a real query API."""

from __future__ import annotations

import html
import os
import pathlib
import re
import stat
import sys

import pytest

from mida import cli

pytest_plugins = ["query_server"]


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """A browser that only notes what it was started with."""
    seen = tmp_path / "seen"
    program = tmp_path / "browser"
    program.write_text(f'#!{sys.executable}\nimport sys\nopen({str(seen)!r}, "w").write(sys.argv[1])\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(program))
    monkeypatch.setattr("webbrowser._tryorder", None)  # it reads BROWSER once
    return seen


def address_in(page: pathlib.Path) -> str:
    return html.unescape(re.search(r'url=([^"]*)"', page.read_text()).group(1))


def test_the_browser_gets_a_private_page_and_never_the_token(trained, browser, capsys):
    assert cli.main(["ui", "--campaign", "a & b"]) == 0
    token = pathlib.Path(trained.state, "token").read_text().strip()
    started_with = browser.read_text()
    assert started_with.startswith("file://")
    assert token not in started_with
    assert token not in capsys.readouterr().out
    page = pathlib.Path(trained.state, "ui.html")
    assert started_with == page.absolute().as_uri()
    if os.name == "posix":
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
    address = address_in(page)
    assert address == f"{trained.client().endpoint}/ui/?campaign=a+%26+b#token={token}"


def test_the_address_is_printed_for_a_browser_elsewhere(trained, capsys):
    assert cli.main(["ui", "--print"]) == 0
    token = pathlib.Path(trained.state, "token").read_text().strip()
    assert capsys.readouterr().out == f"{trained.client().endpoint}/ui/#token={token}\n"


def test_a_password_is_asked_for_by_the_page(monkeypatch, capsys):
    assert cli.main(["--endpoint", "http://ada:secret@127.0.0.1:1", "ui", "--print"]) == 0
    assert capsys.readouterr().out == "http://127.0.0.1:1/ui/\n"


def test_no_browser_is_said(trained, monkeypatch, capsys):
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert cli.main(["ui"]) == 1
    assert "--print" in capsys.readouterr().err
