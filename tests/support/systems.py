"""What is broken by the fault matrix: a job of many Dask tasks, and the collectors and servers that observe it."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

from .called import CAMPAIGN
from .collector import Collector
from .dask_job import Job
from .nodes import READY, Agent, Broker
from .servers import SearchCluster

ONLY_DASK = {
    "receivers": {"dask": {"schedulers": [], "scheduler_files": []}},
    "service": {"pipelines": {"logs": {"receivers": ["dask"]}}},
}


@dataclasses.dataclass
class System:
    """All of it, running."""

    job: Job
    agent: Collector  # observes the job
    view: Collector  # is asked; the agent itself where there is one collector
    integrators: list[Collector] = dataclasses.field(default_factory=list)
    broker: Broker | None = None
    search: SearchCluster | None = None


def _env(**more: str) -> dict:
    return {"MIDA_CAMPAIGN": CAMPAIGN, **more}


def _place(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir()
    return path


@contextlib.contextmanager
def one_collector(
    directory: Path, tasks: int, data: Path | None = None, journal: Path | None = None
) -> Iterator[System]:
    """Run laptop.yaml: one collector with SQLite.

    Parameters
    ----------
    data, journal : Path, optional
        Where the store and the positions, and where the journals lie; below `directory` without them.
    """
    work = _place(directory, "node")
    data = data or work / "mida-data"
    journal = journal or directory / "journal"
    where = {"receivers": {"dask": {"journal": {"directory": str(journal)}}}}
    collector = Collector(work, [READY / "laptop.yaml", ONLY_DASK, where], data=data, env=_env())
    with collector, Job(work, journal, tasks) as job:
        yield System(job, collector, collector)


@contextlib.contextmanager
def with_kafka(directory: Path, tasks: int, search: SearchCluster | None = None) -> Iterator[System]:
    """Run agent-kafka.yaml, a broker, and one integrator with SQLite, or two with indices of their own in a cluster.

    For two, messages have no keys: parts of one task go to any partition, and so to any of them.
    """
    work = _place(directory, "node")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(directory / "kafka", "num.partitions=12", "message.max.bytes=16777216"))
        broker.start()
        env = _env(MIDA_KAFKA_BROKERS=broker.address, MIDA_INDEX_PREFIX=f"mida-{secrets.token_hex(4)}")
        configs: list = [READY / "integrator-kafka.yaml"]
        if search:
            search.ready()
            nodes = {"elasticsearch": {"endpoints": search.urls}}
            configs += [READY / "elasticsearch.yaml", {"extensions": {"taskstore": {"stores": {"main": nodes}}}}]
        integrators = [
            stack.enter_context(Collector(_place(directory, name), configs, env=env))
            for name in (("integrator-1", "integrator-2") if search else ("integrator-1",))
        ]
        spread = {"exporters": {"kafka": {"partition_logs_by_trace_id": search is None}}}
        agent = stack.enter_context(Agent(work, [READY / "agent-kafka.yaml", ONLY_DASK, spread], env=env))
        job = stack.enter_context(Job(work, agent.data / "journal", tasks))
        yield System(job, agent, integrators[-1], integrators, broker, search)
