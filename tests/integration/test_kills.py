"""The short form of the fault tests: kills at random moments, and a store that refuses writes."""

from __future__ import annotations

import os
import random
import time

from support.campaign import start_campaign
from support.faults import Killer, refusing_writes
from support.observed import demo_collector, readable, settle
from support.poll import until
from support.view import read_view


def test_killed_during_the_campaign(tmp_path):
    """Four kills, one of a collector that was starting, and seven seconds without writes: nothing is lost."""
    seed = int(os.environ.get("MIDA_FAULT_SEED") or random.randrange(10**6))
    print(f"MIDA_FAULT_SEED={seed}")
    with demo_collector(tmp_path) as collector:
        with start_campaign(tmp_path, collector.data / "journal") as campaign:
            killer = Killer(collector, seed, (2, 14), kills=4, during_restart=1)
            killer.start()
            killer.finish(120)
            with refusing_writes(collector.data / "mida.db"):
                refused_from = time.monotonic()
                until(lambda: time.monotonic() - refused_from > 7, 10, "seven seconds without writes")
                # Readers are not in the writers' way.
                assert read_view(collector.client()).tasks
            campaign.finish(400)
        left = settle(collector, tmp_path)
        print(killer.moments)
        assert killer.while_starting() == 1, killer.moments
        assert len(killer.moments) >= 4 and not left, f"kills at {killer.moments}\n{readable(left)}"
