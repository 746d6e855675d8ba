"""Nodes that send to one another, over OTLP and over Kafka: the view equals the ground truth, whoever is killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest
import yaml

from support import journals
from support.campaign import start_campaign, start_script
from support.collector import Collector, free_port
from support.compare import compare_tasks
from support.faults import Killer, refusing_writes
from support.hosts import Hosts
from support.nodes import READY, Agent, Broker, demo_receivers, gateway_files
from support.observed import readable, settle, unfinished
from support.poll import until, until_none
from support.truth import read_truth
from support.view import read_links, read_view

# Seconds in which an agent ends; it takes 10, but this machine may be busy.
ENDS = 40


@pytest.fixture
def seed():
    value = int(os.environ.get("MIDA_FAULT_SEED") or random.randrange(10**6))
    print(f"MIDA_FAULT_SEED={value}")
    return value


def place(tmp_path: Path, name: str) -> Path:
    """Make a directory for what runs on one node."""
    path = tmp_path / name
    path.mkdir()
    return path


def test_agent_and_gateway(tmp_path, seed):
    """A token that is wrong at first, a gateway that is killed three times, an agent that is killed once."""
    env = gateway_files(tmp_path / "files")
    port = free_port()
    token = tmp_path / "files" / "token-of-the-agent"
    token.write_text("not the gateway's")
    campaign_dir = place(tmp_path, "node")
    agent = Agent(
        campaign_dir,
        [READY / "agent-otlp.yaml", demo_receivers()],
        env={**env, "MIDA_GATEWAY_ENDPOINT": f"127.0.0.1:{port}", "MIDA_GATEWAY_TOKEN_FILE": str(token)},
    )
    gateway = Collector(
        place(tmp_path, "gateway"), [READY / "gateway-otlp.yaml"], env={**env, "MIDA_OTLP_PORT": str(port)}
    )
    with gateway, agent, start_campaign(campaign_dir, agent.data / "journal") as campaign:
        # A refusal that is nobody's fault: it waits until somebody sets things right.
        until(lambda: "Unauthenticated" in agent.log, 60, "the gateway refuses the token")
        assert not read_view(gateway.client()).tasks
        token.write_text(Path(env["MIDA_GATEWAY_TOKEN_FILE"]).read_text())
        until(lambda: read_view(gateway.client()).tasks, 60, "tasks of the agent's in the gateway's view")
        killer = Killer(gateway, seed, (1, 8), kills=3)
        killer.start()
        killer.finish(120)
        agent.kill()
        agent.start()
        campaign.finish(400)
        left = settle(gateway, campaign_dir)
        assert not left, f"kills at {killer.moments}\n{readable(left)}"


def test_agent_kafka_and_integrator(tmp_path, seed):
    """An agent without a broker at first, a broker and integrators that are killed."""
    broker = Broker(tmp_path / "kafka", "num.partitions=3", "message.max.bytes=16777216")
    env = {"MIDA_KAFKA_BROKERS": broker.address}
    campaign_dir = place(tmp_path, "node")
    agent = Agent(campaign_dir, [READY / "agent-kafka.yaml", demo_receivers()], env=env)
    integrator = Collector(place(tmp_path, "integrator"), [READY / "integrator-kafka.yaml"], env=env)
    # The broker ends last: an agent that waits for it does not end before it (docs/deployment.md).
    with broker, agent, integrator, start_campaign(campaign_dir, agent.data / "journal") as campaign:
        until(lambda: "connection refused" in agent.log, 60, "the agent looks for the broker")
        broker.start()
        until(lambda: read_view(integrator.client()).tasks, 120, "tasks of the agent's in the integrator's view")
        killer = Killer(integrator, seed, (1, 8), kills=3)
        killer.start()
        broker.kill()
        broker.start()
        killer.finish(120)
        agent.kill()
        agent.start()
        campaign.finish(400)
        left = settle(integrator, campaign_dir, timeout=120)
        assert not left, f"kills at {killer.moments}\n{readable(left)}"


def test_large_events_and_foreign_messages_in_kafka(tmp_path):
    """Tasks near the cap of an event, in messages far above Kafka's default limit; what is no OTLP stops nothing."""
    with Broker(tmp_path / "kafka", "num.partitions=1", "message.max.bytes=16777216") as broker:
        env = {"MIDA_KAFKA_BROKERS": broker.address}
        broker.start()
        strange = {"exporters": {"kafka": {"logs": {"encoding": "otlp_json"}}}}
        foreigner = Agent(
            place(tmp_path, "foreigner"), [READY / "agent-kafka.yaml", demo_receivers(), strange], env=env
        )
        agent = Agent(place(tmp_path, "node"), [READY / "agent-kafka.yaml", demo_receivers()], env=env)
        integrator = Collector(place(tmp_path, "integrator"), [READY / "integrator-kafka.yaml"], env=env)
        with integrator:
            with foreigner:
                journals.write_binary(
                    journals.host_directory(foreigner.data / "journal"), "x", [journals.finished("x")]
                )
                until(lambda: "failed to unmarshal message" in integrator.log, 120, "the integrator names the message")
            texts = random.Random(1)
            events = [
                journals.finished(
                    f"large-{i}", i + 1, used={f"text{k}": texts.randbytes(4000).hex() for k in range(120)}
                )
                for i in range(30)
            ]
            journals.write_binary(journals.host_directory(agent.data / "journal"), "large", events)
            with agent:
                rows = until(lambda: found(integrator, len(events)), 120, "all tasks in the view")
            assert {r["task_id"]: r["used"] for r in rows} == {e["key"]: e["used"] for e in events}


@pytest.mark.parametrize("way", ["otlp", "kafka"])
def test_an_agent_that_is_killed_before_the_answer(tmp_path, way):
    """Nobody answers, so nothing is read for good: the next agent sends it."""
    files = gateway_files(tmp_path / "files")
    port = str(free_port())
    with Broker(tmp_path / "kafka") if way == "kafka" else contextlib.nullcontext() as broker:
        if broker:
            names, env, sign = ("agent-kafka", "integrator-kafka"), {"MIDA_KAFKA_BROKERS": broker.address}, "refused"
        else:
            names, sign = ("agent-otlp", "gateway-otlp"), "Exporting failed. Will retry"
            env = {**files, "MIDA_OTLP_PORT": port, "MIDA_GATEWAY_ENDPOINT": f"127.0.0.1:{port}"}
        agent = Agent(place(tmp_path, "node"), [READY / f"{names[0]}.yaml", demo_receivers()], env=env)
        store = Collector(place(tmp_path, "store"), [READY / f"{names[1]}.yaml"], env=env)
        segment = journals.write_binary(
            journals.host_directory(agent.data / "journal"), "one", [journals.finished("first")]
        )
        agent.start()
        try:
            until(lambda: sign in agent.log, 60, "the agent finds nobody")
            began = time.monotonic()
            until(lambda: time.monotonic() - began > 2, 10, "time to do what it must not")
        finally:
            agent.kill()
        assert segment.exists()
        if broker:
            broker.start()
        with store, agent:
            until(lambda: found(store, 1), 120, "the task in the view")
            until(lambda: not segment.exists(), 60, "the journal is read for good")


def test_an_agent_ends_while_the_broker_is_silent(tmp_path):
    """It does not wait for a broker that has a request and does not answer; the next agent sends it again."""
    with Broker(tmp_path / "kafka", "num.partitions=1") as broker:
        broker.start()
        env = {"MIDA_KAFKA_BROKERS": broker.address}
        agent = Agent(place(tmp_path, "node"), [READY / "agent-kafka.yaml", demo_receivers()], env=env)
        integrator = Collector(place(tmp_path, "integrator"), [READY / "integrator-kafka.yaml"], env=env)
        write = journals.host_directory(agent.data / "journal")
        with agent:
            first = journals.write_binary(write, "one", [journals.finished("first")])
            until(lambda: not first.exists(), 120, "the broker takes messages")
            broker.signal(signal.SIGSTOP)
            segment = journals.write_binary(write, "two", [journals.finished("second")])
            began = time.monotonic()
            until(lambda: time.monotonic() - began > 3, 10, "time to send what nobody answers")
            began = time.monotonic()
            assert agent.stop() == 0
            took = time.monotonic() - began
            print(f"ended after {took:.1f} s")
        assert took < ENDS
        assert segment.exists()
        broker.signal(signal.SIGCONT)
        with integrator, agent:
            rows = until(lambda: found(integrator, 2), 120, "both tasks in the view")
            assert sorted(r["task_id"] for r in rows) == ["first", "second"]


def test_a_message_counts_after_the_commit(tmp_path):
    """An integrator that is killed with a message in hand, longer than offsets take to be committed, gets it again."""
    with Broker(tmp_path / "kafka", "num.partitions=1") as broker:
        broker.start()
        env = {"MIDA_KAFKA_BROKERS": broker.address}
        agent = Agent(place(tmp_path, "node"), [READY / "agent-kafka.yaml", demo_receivers()], env=env)
        integrator = Collector(place(tmp_path, "integrator"), [READY / "integrator-kafka.yaml"], env=env)
        with agent, integrator:
            write = journals.host_directory(agent.data / "journal")
            journals.write_binary(write, "one", [journals.finished("first")])
            until(lambda: found(integrator, 1), 120, "the first task in the view")
            with refusing_writes(integrator.data / "mida.db"):
                journals.write_binary(write, "two", [journals.finished("second")])
                until(lambda: "Exporting failed. Will retry" in integrator.log, 120, "the store refuses the message")
                began = time.monotonic()
                until(lambda: time.monotonic() - began > 4, 10, "time for offsets to be committed")
                integrator.kill()
            integrator.start()
            rows = until(lambda: found(integrator, 2), 120, "both tasks in the view")
            assert sorted(r["task_id"] for r in rows) == ["first", "second"]


def test_integrators_that_send_on(tmp_path):
    """Two of one group before one gateway: parts of one task take different ways, one integrator is killed."""
    files = gateway_files(tmp_path / "files")
    port = str(free_port())
    with Broker(tmp_path / "kafka", "num.partitions=4") as broker:
        broker.start()
        env = {**files, "MIDA_KAFKA_BROKERS": broker.address, "MIDA_GATEWAY_ENDPOINT": f"127.0.0.1:{port}"}
        # Without keys each request goes to any partition.
        spread = {"exporters": {"kafka": {"partition_logs_by_trace_id": False, "producer": {"linger": "0s"}}}}
        agent = Agent(place(tmp_path, "node"), [READY / "agent-kafka.yaml", demo_receivers(), spread], env=env)
        both = [
            Agent(place(tmp_path, name), [READY / "agent-otlp.yaml", forwarding()], env=env) for name in ("one", "two")
        ]
        gateway = Collector(
            place(tmp_path, "gateway"), [READY / "gateway-otlp.yaml"], env={**files, "MIDA_OTLP_PORT": port}
        )
        with gateway, agent, both[0], both[1]:
            write = journals.host_directory(agent.data / "journal")
            names = [f"task-{i}" for i in range(200)]
            for part in range(20):
                # Of each task one observer sees what went in, another what came out.
                few = names[part * 10 : part * 10 + 10]
                seen = [journals.finished(n, i + 1, facet="in", generated={}) for i, n in enumerate(few)]
                done = [journals.finished(n, i + 1, facet="out", used={}) for i, n in enumerate(few)]
                journals.write_binary(write, f"in{part}", seen)
                until(lambda n=part: len(found(gateway, n)) >= n, 120, "tasks on their way")
                journals.write_binary(write, f"out{part}", done)
                if part == 10:
                    both[0].kill()
            rows = until(lambda: whole(gateway, len(names)), 120, "both sides of all tasks in the view")
            assert sorted(r["task_id"] for r in rows) == sorted(names)


def forwarding() -> dict:
    """What makes an agent one that reads Kafka instead (docs/deployment.md)."""
    kafka = yaml.safe_load((READY / "integrator-kafka.yaml").read_text())["receivers"]["kafka"]
    kafka["message_marking"]["on_permanent_error"] = False
    return {
        "receivers": {"kafka": kafka},
        "service": {"pipelines": {"logs": {"receivers": ["kafka"], "processors": []}}},
    }


def whole(collector: Collector, n: int) -> list[dict]:
    """Return all tasks of the view once there are `n` and nothing of them is missing."""
    rows = collector.client().query()
    done = [r for r in rows if r["used"] == {"sample": 17} and r["generated"] == {"yield": 0.25}]
    return rows if len(done) == len(rows) == n else []


def found(collector: Collector, n: int) -> list[dict]:
    """Return all tasks of the view once there are `n`."""
    rows = collector.client().query()
    return rows if len(rows) >= n else []


@pytest.mark.namespaces
def test_dask_on_a_node_without_a_collector(tmp_path, seed):
    """Its processes send their journals themselves, to a gateway that is killed three times."""
    campaign_dir = place(tmp_path, "node")
    with Hosts() as hosts:
        env = gateway_files(tmp_path / "files", hosts.here)
        ports = {"MIDA_JOURNAL_PORT": str(free_port()), "MIDA_OTLP_PORT": str(free_port())}
        receivers = demo_receivers()["receivers"]
        # The rest of the campaign is seen through the shared file system.
        here = {
            "extensions": {"file_storage": {"directory": "${env:MIDA_DATA}/state", "create_directory": True}},
            "receivers": {
                "tasklog": {**receivers["tasklog"], "campaign": "microscopy"},
                "mlflow": {"campaign": "microscopy", "tracking_uri": "sqlite:///mlflow.db", "storage": "file_storage"},
            },
            "service": {
                "extensions": ["file_storage", "taskstore", "taskquery", "bearertokenauth/gateway"],
                "pipelines": {"logs/journal": {"receivers": ["journal", "mlflow", "tasklog"]}},
            },
        }
        gateway = Collector(
            campaign_dir,
            [READY / "gateway-otlp.yaml", READY / "gateway-journal.yaml", here],
            data=tmp_path / "gateway",
            env={**env, **ports, "MIDA_JOURNAL_HOST": hosts.here},
        )
        node = hosts.add(socket.gethostname())
        journal = tmp_path / "journal"
        to_gateway = {"MIDA_GATEWAY": f"https://{hosts.here}:{ports['MIDA_JOURNAL_PORT']}", **env}
        with gateway, start_campaign(campaign_dir, journal, host=node, **to_gateway) as campaign:
            until(lambda: read_view(gateway.client(), {"kind": "dask"}).tasks, 120, "Dask tasks in the gateway's view")
            killer = Killer(gateway, seed, (1, 8), kills=3)
            killer.start()
            killer.finish(120)
            campaign.finish(400)
            left = settle(gateway, campaign_dir)
            assert not left, f"kills at {killer.moments}\n{readable(left)}"
            assert not [p for p in journal.rglob("*") if p.is_file()], "what was sent is deleted"


@pytest.mark.namespaces
def test_three_hosts(tmp_path):
    """Dask on one host, the rest on another, the view on a third; equal paths of two hosts are two files."""
    work = place(tmp_path, "work")  # a path that both hosts have
    with Hosts() as hosts:
        env = gateway_files(tmp_path / "files", hosts.here)
        port = str(free_port())
        gateway = Collector(
            place(tmp_path, "gateway"),
            [READY / "gateway-otlp.yaml"],
            env={**env, "MIDA_OTLP_PORT": port, "MIDA_OTLP_HOST": hosts.here},
        )
        to_gateway = {**env, "MIDA_GATEWAY_ENDPOINT": f"{hosts.here}:{port}"}
        alpha, beta = hosts.add("alpha"), hosts.add("beta")
        both = demo_receivers()
        dask, rest = (
            {**both, "service": {"pipelines": {"logs": {"receivers": names}}}}
            for names in (["dask"], ["mlflow", "tasklog"])
        )
        config = READY / "agent-otlp.yaml"
        on_alpha = Agent(work, [config, dask], data=tmp_path / "alpha", env=to_gateway, host=alpha)
        on_beta = Agent(work, [config, rest], data=tmp_path / "beta", env=to_gateway, host=beta)
        with gateway, on_alpha, on_beta:
            for script, host in (("acquire", beta), ("search", alpha), ("evaluate", beta)):
                with start_script(script, work, on_alpha.data / "journal", host) as running:
                    running.finish(200)
            truth = read_truth(work)
            left = until_none(
                lambda: compare_tasks(truth, read_view(gateway.client()), "microscopy") + unfinished(gateway), 60
            )
            assert not left, readable(left)
            tasks = read_view(gateway.client()).tasks
            where = {id: task.get("host") for id, task in tasks.items()}
            assert {t["kind"]: where[t["id"]] for t in tasks.values()} == {
                "dask": "alpha",
                "mlflow": "beta",
                "log": "beta",
            }
            links = read_links(gateway.client(), list(tasks))
            assert [link for link in links if link.evidence == "path"]
            assert not [link for link in links if where[link.source] != where[link.target] and link.evidence == "path"]
