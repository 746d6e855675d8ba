"""Several integrators of one group behind a real Kafka broker, with one view in a real cluster."""

from __future__ import annotations

import os
import random

from support.campaign import start_campaign
from support.collector import Collector
from support.faults import Killer
from support.nodes import READY, Agent, Broker, demo_receivers
from support.observed import readable, settle
from support.poll import until
from support.servers import SearchServer


def test_integrators_share_a_cluster(tmp_path):
    """Two of them, one killed twice, parts of one task in any partition; the view equals what happened."""
    seed = int(os.environ.get("MIDA_FAULT_SEED") or random.randrange(10**6))
    print(f"MIDA_FAULT_SEED={seed}")
    directories = {name: tmp_path / name for name in ("node", "one", "two")}
    for directory in directories.values():
        directory.mkdir()
    with (
        SearchServer("opensearch", tmp_path / "search") as search,
        Broker(tmp_path / "kafka", "num.partitions=4") as broker,
    ):
        env = {"MIDA_KAFKA_BROKERS": broker.address, "MIDA_ELASTICSEARCH": search.url}
        # Without keys the messages go to any partition, and so to any integrator.
        spread = {"exporters": {"kafka": {"partition_logs_by_trace_id": False}}}
        agent = Agent(directories["node"], [READY / "agent-kafka.yaml", demo_receivers(), spread], env=env)
        one, two = (
            Collector(directories[name], [READY / "integrator-kafka.yaml", READY / "elasticsearch.yaml"], env=env)
            for name in ("one", "two")
        )
        search.start()
        broker.start()
        with one, two, agent, start_campaign(directories["node"], agent.data / "journal", rounds=1) as campaign:
            until(lambda: two.client().query(limit=1), 180, "a first task in the view")
            killer = Killer(one, seed, (1, 6), kills=2)
            killer.start()
            killer.finish(180)
            campaign.finish(400)
            left = settle(two, directories["node"], timeout=180)
            assert not left, f"kills at {killer.moments}\n{readable(left)}"
            assert not list(tmp_path.rglob("dead-letter.jsonl"))
