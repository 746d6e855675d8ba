"""Every fault at full length: twenty and more kills at random moments, and a store that refuses writes for minutes."""

from __future__ import annotations

import os
import random
import time

from support.campaign import start_campaign
from support.faults import Killer, refusing_writes
from support.observed import demo_collector, readable, settle
from support.poll import until
from support.truth import read_truth

KILLS, DURING_RESTART = 20, 2
ROUNDS = 3
REFUSED = float(os.environ.get("MIDA_FAULT_REFUSED") or 360)


def compared(workdir) -> str:
    """Say how much was compared."""
    truth = read_truth(workdir)
    return f"{len(truth.calls)} Dask calls, {len(truth.runs)} MLflow runs, {len(truth.images)} images"


def outcome(left: list) -> str:
    """Say how it ended."""
    return "view = ground truth" if not left else f"{len(left)} differences"


def test_twenty_kills(tmp_path, report):
    """Kills at random moments of a whole campaign, two of them of a collector that has just been started."""
    seed = int(os.environ.get("MIDA_FAULT_SEED") or random.randrange(10**6))
    print(f"MIDA_FAULT_SEED={seed}")
    began = time.monotonic()
    with demo_collector(tmp_path) as collector:
        with start_campaign(tmp_path, collector.data / "journal", rounds=ROUNDS) as campaign:
            killer = Killer(collector, seed, gap=(0.3, 3.0), during_restart=DURING_RESTART)
            killer.start()
            campaign.finish(600)
            killer.finish()
        ended = time.monotonic() - began
        left = settle(collector, tmp_path, timeout=120)
        settled = time.monotonic() - began - ended
        moments = [at for at, _ in killer.moments]
        details = (
            f"seed {seed}; {len(moments)} kills between {min(moments):.1f} s and {max(moments):.1f} s of a campaign of "
            f"{ROUNDS} rounds in {ended:.0f} s, {killer.while_starting()} of them while the collector started; "
            f"view complete {settled:.0f} s after the campaign"
        )
        report("`kill -9` of the collector", details, compared(tmp_path), outcome(left))
        assert len(moments) >= KILLS and killer.while_starting() >= DURING_RESTART, killer.moments
        assert not left, f"seed {seed}, kills at {killer.moments}\n{readable(left)}"


def test_store_refuses_for_six_minutes(tmp_path, report):
    """The store takes no write for longer than the Collector's own retries last by default; nothing is lost."""
    with demo_collector(tmp_path) as collector:
        with start_campaign(tmp_path, collector.data / "journal") as campaign:
            until(
                lambda: collector.client().query(filter={"kind": "dask"}, limit=1),
                120,
                "a first Dask task",
            )
            with refusing_writes(collector.data / "mida.db"):
                began = time.monotonic()
                campaign.finish(REFUSED)
                until(
                    lambda: time.monotonic() - began >= REFUSED,
                    REFUSED + 30,
                    "the minutes pass",
                    interval=1,
                )
                refused = time.monotonic() - began
                held = len(collector.client().query(projection=["id"]))
        began = time.monotonic()
        left = settle(collector, tmp_path, timeout=180)
        settled = time.monotonic() - began
        details = (
            f"write lock of the database held by another process for {refused:.0f} s; {held} tasks in the view "
            f"meanwhile; view complete {settled:.0f} s after the lock was released"
        )
        report("store refuses writes", details, compared(tmp_path), outcome(left))
        assert not left, readable(left)
