"""The command ``mida ui``: open the web UI in a browser, with the token."""

from __future__ import annotations

import argparse
import html
import os
import pathlib
import sys
import tempfile
import urllib.parse
import webbrowser
from typing import Any, Callable, Optional

from .endpoint import Endpoint, find

__all__ = ["add_command"]

PAGE = "ui.html"

HELP = """\
The token goes to the page behind a `#`, which a browser sends to nobody, and to the browser in a file that only you
can read: the arguments of programs are seen by everybody on a machine. On a machine without a browser, use --print
there and `ssh -L 4340:127.0.0.1:4340 THAT_MACHINE` here, then open the address here.
"""


def add_command(command: Callable[..., argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    sub = command("ui", _ui, common, help="open the web UI in a browser", epilog=HELP)
    sub.add_argument("--campaign", help="open it with this campaign")
    sub.add_argument("--print", dest="only_print", action="store_true", help="print the address, token and all")


def _ui(args: argparse.Namespace) -> Optional[int]:
    endpoint = find(args.endpoint, None, args.state_directory)
    url = _url(endpoint, args.campaign)
    if args.only_print:
        print(url)
        return None
    page = _write_page(endpoint, url)
    if webbrowser.open(page.as_uri()):
        print(f"{endpoint.url}/ui/ is opened in your browser")
        return None
    print(f"mida: no browser opens here; `mida ui --print` prints the address, and {page} leads to it", file=sys.stderr)
    return 1


def _url(endpoint: Endpoint, campaign: Optional[str]) -> str:
    url = endpoint.url + "/ui/"
    if campaign:
        url += "?" + urllib.parse.urlencode({"campaign": campaign})
    scheme, _, token = (endpoint.authorization or "").partition(" ")
    if scheme == "Bearer":
        url += "#" + urllib.parse.urlencode({"token": token})
    return url


def _write_page(endpoint: Endpoint, url: str) -> pathlib.Path:
    """Write a page that leads to the UI, beside the token or in a new directory; only its owner can read it."""
    source = pathlib.Path(endpoint.token_source)
    directory: Any = source.parent if source.is_absolute() and source.is_file() else tempfile.mkdtemp(prefix="mida-ui-")
    address = html.escape(url, quote=True)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MIDA</title>'
        f'<meta http-equiv="refresh" content="0; url={address}"></head>'
        f'<body><a href="{address}">To the web UI</a></body></html>\n'
    )
    handle, part = tempfile.mkstemp(dir=directory, prefix=".ui-")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as f:
        f.write(text)
    page = pathlib.Path(directory, PAGE).absolute()
    os.replace(part, page)
    return page
