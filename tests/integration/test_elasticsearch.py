"""The demo campaign with its view in a cluster, which comes late and is killed once; and what the API says of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.campaign import start_campaign
from support.collector import ROOT, binary
from support.observed import demo_collector, readable, settle
from support.poll import until
from support.routes import different, differing_routes, steer, view_only
from support.servers import SearchServer
from support.truth import read_truth

OVERLAY = ROOT / "distributions" / "otelcol-mida" / "elasticsearch.yaml"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the end of a process is read from /proc")
@pytest.mark.parametrize("kind", ["opensearch", "elasticsearch"])
def test_view_in_a_cluster(tmp_path, kind):
    """The collector starts before the server, which is killed while tasks come; the view equals what happened."""
    with SearchServer(kind, tmp_path / "server") as server:
        collector = demo_collector(tmp_path, OVERLAY, env={"MIDA_ELASTICSEARCH": server.url})
        with collector, start_campaign(tmp_path, tmp_path / "mida-data" / "journal", rounds=1) as campaign:
            assert not (tmp_path / "mida-data" / "mida.db").exists()
            server.start()
            until(lambda: collector.client().query(limit=1), 180, "a first task in the view")
            server.kill()
            server.start()
            campaign.finish(400)
            left = settle(collector, tmp_path, timeout=180)
            assert not left, readable(left)
            assert read_truth(tmp_path).activities
            assert not (tmp_path / "mida-data" / "dead-letter.jsonl").exists()
        collector.stop()
        same_answers(tmp_path, server)


def same_answers(tmp_path, server):
    """Copy the view to SQLite; every route of the API says the same of both, and people steer both alike."""
    target = tmp_path / "copied" / "mida.db"
    target.parent.mkdir()
    source = f"{server.kind}://127.0.0.1:{server.port}"
    done = subprocess.run(
        [binary(), "copy", "--from", source, "--to", target], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cluster = view_only(tmp_path / "cluster", {"elasticsearch": {"endpoints": [server.url]}})
    sqlite = view_only(tmp_path / "sqlite", {"sqlite": {"path": str(target)}})
    with cluster, sqlite:
        first, second = cluster.client(), sqlite.client()
        assert not (found := differing_routes(first, second)), readable(found)
        steered = [steer(client) for client in (first, second)]
        assert not (found := list(different(*steered))), readable(found)
        assert steered[0]["campaign"] and steered[0]["tasks"]
