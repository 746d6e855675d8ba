"""The others: a bare loop, contrib's Elasticsearch exporter, and FlowCept's consumer, on the same tasks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from measured import Cost, Void, Watch, size
from pipeline import CAMPAIGN, PROBE, Collector, Sender, Server, free_port, until
from workload import Tasks, flowcept_messages

BENCH = Path(__file__).resolve().parent
QUIET = 30.0  # seconds without progress after which what is missing is lost
# Redis cuts off a subscriber that is 32 MB behind, and FlowCept then loses what it missed: here it may lag, so that it
# always has work and loses nothing.
_REDIS = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--client-output-buffer-limit", "pubsub 0 0 0"]
FILLER = 200  # messages that push what FlowCept buffers into its store


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


def script(name: str) -> list[str]:
    """Run one of the scripts that get a peer, and return the lines that it prints."""
    last = "no reason given"
    with subprocess.Popen([BENCH / name], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        for line in child.stderr:  # it can take minutes: what it says is seen meanwhile
            print(line, end="", file=sys.stderr, flush=True)
            last = line.strip() or last
        lines = child.stdout.read().splitlines()
    if child.returncode:
        raise Missing(f"{name} failed with {child.returncode}: {last}")
    return lines


# ---- bare loops ------------------------------------------------------------------------------------------------------


def build_load(target: Path) -> Path:
    """Build bench/load outside the tree."""
    command = [os.environ.get("GO", "go"), "build", "-trimpath", "-o", target, "./bench/load"]
    subprocess.run(command, cwd=BENCH.parent, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
    return target


def bare_bulk(load: Path, server: Server, prefix: str, grid: str, kinds: str) -> list[dict]:
    """Index the documents of a view again, in batches of some sizes."""
    return _lines([load, "bulk", "-url", server.url, "-prefix", prefix, "-grid", grid, "-kinds", kinds])


def bare_rows(load: Path, database: Path, per: str) -> list[dict]:
    """Write the rows of a database again, in transactions of some sizes."""
    return _lines([load, "rows", "-db", database, "-per", per])


def _lines(command: list) -> list[dict]:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- contrib's Elasticsearch exporter --------------------------------------------------------------------------------


def contrib(program: Path, load: Path, work: Path, server: Server, index: str, journals: Path, tasks: int) -> Cost:
    """Let it write the events, a document each, into an index of its own."""
    # What contrib's documents would get from the templates of a whole Elasticsearch: text is a keyword. No fields are
    # made of the paths, whose names are data; ours does not index them either.
    off = {"type": "object", "enabled": False}
    text = {"text": {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 1024}}}
    server.ask(
        "PUT",
        f"/{index}",
        {
            "settings": {"number_of_shards": 1, "number_of_replicas": 1},
            "mappings": {
                "dynamic_templates": [text],
                "properties": {"Attributes": {"properties": {"mida": {"properties": {"paths": off}}}}},
            },
        },
    )
    otlp, telemetry = free_port(), free_port()
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {
            "elasticsearch": {
                "endpoints": [server.url],
                "logs_index": index,
                # otel, the default, wants the data streams of a whole Elasticsearch.
                "mapping": {"allowed_modes": ["none"]},
                "compression": "none",  # as ours; on one machine it would only cost
                # Its own batches of at least 1 MB; but a last one that is smaller need not wait 10 s.
                "sending_queue": {"batch": {"flush_timeout": "200ms"}},
            }
        },
        "service": {
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["elasticsearch"]}},
            "telemetry": {
                "metrics": {
                    "readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": telemetry}}}}]
                }
            },
        },
    }
    collector = Collector(work, [config], program=program)
    collector.metrics_port = telemetry
    collector.spawn()
    try:
        until(lambda: _listens(otlp) or not collector.running, 60, "contrib's collector listens")
        if not collector.running:
            raise SystemExit(f"contrib's collector ended:\n{collector.tail()}")
        with Sender(load, journals, otlp) as sender:
            sender.expect(tasks)
            watch, seen, last = Watch(collector.pid, server.pid), time.monotonic(), -1.0
            sender.send()
            while True:
                # As with ours, the server is asked only when all was written.
                done = collector.metric("docs_processed", outcome="success")
                if done >= tasks and (count := server.count(index)) >= tasks:
                    break
                if done != last:
                    last, seen = done, time.monotonic()
                if time.monotonic() - seen > QUIET:
                    raise Void(f"contrib: {done:.0f} of {tasks} documents\n{collector.tail()}")
                time.sleep(PROBE)
            cost = watch.stop(tasks)
            if count != tasks:
                raise Void(f"contrib: {count} documents of {tasks} events")
            return cost
    finally:
        collector.stop()


def _listens(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


# ---- FlowCept's consumer ---------------------------------------------------------------------------------------------


class FlowCept:
    """Its consumer, from Redis into LMDB, with the settings of its sample where they do not slow it down."""

    def __init__(self) -> None:
        python, redis, libraries = script("flowcept.sh")
        self._python, self._redis = python, redis
        self._env = {**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}

    def run(self, work: Path, tasks: Tasks, messages: int) -> Cost:
        """Publish the messages of all tasks, as fast as they go, and wait until they are stored."""
        port, store = free_port(), work / "lmdb"
        stream = list(_commands(flowcept_messages(tasks, messages, CAMPAIGN)))
        redis = self._start(
            work,
            [self._redis, *_REDIS, "--port", str(port), "--dir", str(work)],
        )
        consumer = sink = None
        try:
            until(lambda: _listens(port), 60, "Redis listens")
            settings = {
                "project": {"db_flush_mode": "online", "enrich_messages": False, "json_serializer": "default"},
                "log": {"log_file_level": "error", "log_stream_level": "error"},
                "mq": {"enabled": True, "type": "redis", "host": "127.0.0.1", "port": port, "channel": "interception"},
                "kv_db": {"enabled": False},
                "db_buffer": {"insertion_buffer_time_secs": 5, "buffer_size": 50},
                "databases": {"mongodb": {"enabled": False}, "lmdb": {"enabled": True, "path": str(store)}},
            }
            (work / "settings.yaml").write_text(yaml.safe_dump(settings))
            code = "from flowcept import Flowcept; Flowcept.start_consumption_services()"
            env = {**os.environ, "FLOWCEPT_SETTINGS_PATH": str(work / "settings.yaml")}
            consumer = self._start(work, [self._python, "-c", code], env)
            sink = subprocess.Popen(
                [self._python, BENCH / "flowcept_sink.py"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )

            def stored(what: str) -> dict:
                sink.stdin.write(f"{what} {store}\n")
                sink.stdin.flush()
                return json.loads(sink.stdout.readline())

            def subscribed() -> bool:
                if consumer.poll() is not None:
                    raise SystemExit(f"FlowCept's consumer ended:\n{(work / 'python.log').read_text()[-2000:]}")
                with socket.create_connection(("127.0.0.1", port)) as s:
                    s.sendall(b"PUBSUB NUMPAT\r\n")
                    return s.recv(64) == b":1\r\n"

            until(subscribed, 60, "FlowCept's consumer subscribes")
            watch = Watch(consumer.pid, redis.pid)
            publisher = threading.Thread(target=_publish, args=(port, stream), daemon=True)
            publisher.start()
            cost, last, since = None, -1, time.monotonic()
            while True:
                now = stored("entries")["entries"]
                if now != last:
                    last, since = now, time.monotonic()
                    cost = watch.stop(tasks.count)
                # The fillers come last: after them there is nothing more to wait for.
                if now >= tasks.count + FILLER // 2 or time.monotonic() - since > QUIET:
                    break
                time.sleep(PROBE)
            publisher.join(60)
            found = stored("count")
            cost.tasks, cost.lost = found["finished"], tasks.count - found["finished"]
            cost.size = size(store / "data.mdb")
            return cost
        finally:
            for process in (consumer, sink, redis):
                if process:
                    process.kill()
                    process.wait()

    def _start(self, work: Path, command: list[str], env: dict | None = None) -> subprocess.Popen:
        name = Path(command[0]).name
        with (work / f"{name}.log").open("w") as log:
            return subprocess.Popen(command, cwd=work, env=env or self._env, stdout=log, stderr=subprocess.STDOUT)


def _commands(messages: Iterator[dict]) -> Iterator[bytes]:
    """Yield PUBLISH commands, fifty at a time, as FlowCept's own buffer sends them."""
    import msgpack

    channel, batch = b"interception", []
    filler = ({"type": "task", "task_id": f"filler-{i}", "campaign_id": CAMPAIGN} for i in range(FILLER))
    for source in (messages, filler):
        for message in source:
            data = msgpack.packb(message)
            batch.append(
                b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(channel), channel, len(data), data)
            )
            if len(batch) == 50:
                yield b"".join(batch)
                batch = []
    if batch:
        yield b"".join(batch)


def _publish(port: int, commands: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as s:
        for data in commands:
            s.sendall(data)
            expected = data.count(b"PUBLISH")
            while expected > 0:
                expected -= s.recv(65536).count(b"\n")
