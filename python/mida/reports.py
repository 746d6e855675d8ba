"""The report on the best results, and the command ``mida report``."""

from __future__ import annotations

import argparse
import html
import json
import pathlib
import re
import sys
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from . import expressions, tables
from .errors import QueryError

__all__ = ["FORMATS", "Page", "add_command", "parameters"]

FORMATS = ("json", "html", "markdown")

EXAMPLES = """\
examples:
  mida report --metric generated.mse -o best.html
  mida report --campaign my_campaign_1 --metric generated.accuracy --order descending -k 1 -o best.md
  mida report --metric generated.loss --filter 'used.layers>2' --format json | jq '.results[0].training'

docs/report.md says what is in it, and how files are made readable to it.
"""


class Page(str):
    """A report as one HTML page; notebooks display it, apart from their own page."""

    def _repr_html_(self) -> str:
        style = "width: 100%; height: 900px; border: 1px solid #ccc"
        return f'<iframe sandbox srcdoc="{html.escape(self)}" style="{style}"></iframe>'


def parameters(
    metric: str,
    campaign: Optional[str],
    k: int,
    order: str,
    filter: Optional[Mapping[str, Any]],
    format: str,
    encode: Callable[[Any], bytes],
) -> List[Tuple[str, Any]]:
    """Return the parameters of the API."""
    if format not in FORMATS:
        raise QueryError(f"format: {format!r} is none of {', '.join(FORMATS)}", field="format")
    params: List[Tuple[str, Any]] = [("metric", metric), ("k", k), ("order", order), ("format", format)]
    if campaign is not None:
        params.append(("campaign_id", campaign))
    if filter is not None:
        params.append(("filter", encode(filter).decode()))
    return params


def add_command(commands: Any, common: argparse.ArgumentParser, client: Callable) -> None:
    """Add the command to a parser; `client` makes a `Client` of the arguments."""
    text = "the life of the best results, back to the raw data, as a page, as text or as JSON"
    sub = commands.add_parser(
        "report",
        parents=[common],
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run=lambda args: _report(client(args), args), failed=None)
    sub.add_argument("--metric", required=True, metavar="FIELD", help="what results are ranked by: generated.mse")
    sub.add_argument("--campaign", help="only this campaign")
    sub.add_argument("-k", type=int, default=3, metavar="N", help="how many results (default: 3)")
    sub.add_argument(
        "--order",
        choices=("ascending", "descending"),
        default="ascending",
        help="which end is the best (default: ascending, the lowest)",
    )
    sub.add_argument("--filter", action="append", metavar="F", help=expressions.HELP)
    sub.add_argument("--format", choices=FORMATS, help="default: by the name of FILE, else Markdown")
    sub.add_argument("-o", "--output", metavar="FILE", help="where to write it: .html, .md or .json (default: here)")


def _report(client: Any, args: argparse.Namespace) -> None:
    parts = [expressions.parse_filter(text) for text in args.filter or []]
    chosen = None if not parts else parts[0] if len(parts) == 1 else {"$and": parts}
    format = args.format or _format_of(args.output)
    answer = client.report(args.metric, args.campaign, args.k, args.order, chosen, format)
    if args.output is None:
        if format == "json":
            tables.write_json(sys.stdout, answer)
        else:
            sys.stdout.write(_without_images(answer) if sys.stdout.isatty() else answer)
        return
    text = json.dumps(answer, indent=1, ensure_ascii=False) + "\n" if format == "json" else answer
    path = pathlib.Path(args.output)
    path.write_text(text, encoding="utf-8")
    print(f"{path} written: {_what(answer, format)}, {len(text) / 1024:.0f} KiB", file=sys.stderr)


def _format_of(output: Optional[str]) -> str:
    if output is None:
        return "markdown"
    endings: Dict[str, str] = {
        ".html": "html",
        ".htm": "html",
        ".md": "markdown",
        ".markdown": "markdown",
        ".json": "json",
    }
    ending = pathlib.Path(output).suffix.lower()
    if ending not in endings:
        raise QueryError(f"--output: {output!r} does not say which format; want .html, .md or .json, or --format")
    return endings[ending]


def _what(answer: Any, format: str) -> str:
    if format == "json":
        return f"{len(answer['results'])} results"
    return "a page" if format == "html" else "a text"


def _without_images(text: str) -> str:
    """Return Markdown for a terminal, which displays no images."""
    return re.sub(r"!\[([^\n]*?)\]\(data:image/[^)]*\)", r"(image: \1)", text)
