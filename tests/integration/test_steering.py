"""Steering: a loop that nobody looks at stops a bad search, and the report says who decided what, and why."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import mida
from support.campaign import Running, script_environment
from support.observed import demo_collector

SCRIPT = Path(__file__).resolve().parent / "scripts" / "diverging_search.py"
BAD = "generated.loss > 1000"
TRIALS = 2000  # a search that nobody stops runs for minutes
SECONDS = 2.0


def first_seen(client: mida.Client, ended: threading.Event) -> float:
    """Return the moment at which the fact is in the view."""
    while not ended.is_set():
        if client.page({"filter": {"generated.loss": {"$gt": 1000}}, "projection": ["id"], "limit": 1})["rows"]:
            return time.time()
        ended.wait(0.05)
    raise AssertionError("the fact never came into the view")


def test_a_watch_stops_a_bad_search_and_the_report_says_why(tmp_path):
    stop, target, decided = tmp_path / "stop", tmp_path / "search.json", []
    with demo_collector(tmp_path) as collector:
        client = collector.client()

        def steer(match: dict) -> None:
            stop.touch()
            decided.append((time.time(), match))
            why = f"loss {match['generated']['loss']:g} at rate {match['used']['rate']:.1f}"
            client.annotate(match["id"], exclude=True, why=why, via="watch diverging")
            client.annotate(
                campaign=match["campaign_id"], action="stopped the search", why=why, by="ada", via="watch diverging"
            )
            watch.stop()

        ended, seen = threading.Event(), []
        watch = mida.watch(BAD, steer, name="diverging", client=collector.client())
        looker = threading.Thread(target=lambda: seen.append(first_seen(collector.client(), ended)))
        looker.start()
        env = script_environment(collector.data / "journal")
        command = [sys.executable, SCRIPT, target, stop, TRIALS]
        try:
            with Running(command, tmp_path, env, tmp_path / "search.log") as search:
                search.finish(240)
            assert watch.join(60)
        finally:
            watch.stop()
            ended.set()
            looker.join()
        ((at, match),) = decided
        ran = json.loads(target.read_text())
        assert ran["stopped"] and ran["trials"] < TRIALS
        print(f"{ran['trials']} trials; stopped {at - match['ended_at']:.2f} s after the trial ended,")
        print(f"{at - seen[0]:.2f} s after it was in the view")
        assert at - seen[0] < SECONDS

        assert [n["of"] for n in client.notes(campaign=match["campaign_id"])] == ["campaign", "tasks"]
        report = client.report("generated.loss")
        stopped, excluded = report["decisions"]
        assert (stopped["action"], stopped["by"], stopped["via"]) == ("stopped the search", "ada", "watch diverging")
        assert stopped["of_campaign"] and stopped["why"].startswith("loss ")
        assert (excluded["tasks"], excluded["excluded"]) == ([match["id"]], True)
        assert match["id"] not in [r["task"]["id"] for r in report["results"]]
        page = client.report("generated.loss", format="html")
        assert "stopped the search" in page and "ada (stated) by watch diverging" in page
