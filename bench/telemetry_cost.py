"""Measure what counting costs a Dask worker, in CPU time of a task, beside psutil's snapshots at its start and end.

Both run in this process, in turns. Counting is done as in a worker: by the dict in which it notes its running tasks.
"""

from __future__ import annotations

import statistics
import threading
import time
import types

import msgpack
import psutil
from mida.dask_measure import TOGETHER, Meter, telemetry

TASKS, TURNS = 20_000, 5
SNAPSHOTS = 500


def worker() -> types.SimpleNamespace:
    """Return what the meter needs of a worker."""
    state = types.SimpleNamespace(executing=set(), long_running=set(), actors={})
    return types.SimpleNamespace(active_threads={}, active_threads_lock=threading.Lock(), state=state)


def each(count: int, part) -> float:
    """Return the CPU time of one call in microseconds."""
    before = time.thread_time()
    for i in range(count):
        part(i)
    return (time.thread_time() - before) / count * 1e6


def bare() -> float:
    """Begin and end tasks without a meter."""
    active: dict = {}

    def task(i):
        active[1] = i
        del active[1]

    return each(TASKS, task)


def hooks() -> float:
    """Begin and end tasks with one: what the thread of a task and the event loop pay."""
    one = worker()
    meter = Meter(one, lambda *_: None)
    active, running = one.active_threads, {}
    TOGETHER.join(running)

    def task(i):
        running[i] = 1
        begun = TOGETHER.begin()
        active[1] = i
        del active[1]
        del running[i]
        meter.take(i)
        TOGETHER.end(begun)

    result = each(TASKS, task)
    TOGETHER.leave(running)
    return result


def recorder() -> float:
    """Make the telemetry of tasks and pack it: what the recorder's thread pays."""
    one = worker()
    meter = Meter(one, lambda *_: None)
    one.active_threads[1] = "k"
    del one.active_threads[1]
    measured = meter.take("k")
    pack = msgpack.Packer(use_bin_type=True).pack
    return each(TASKS, lambda _: pack(telemetry(measured, 1)[0]))


def snapshots() -> float:
    """Ask psutil for CPU, memory, disk and network of process and host, at the start and the end of a task."""
    process = psutil.Process()

    def snapshot():
        with process.oneshot():
            process.cpu_times(), process.memory_info(), process.io_counters(), process.num_threads()
        psutil.cpu_times(), psutil.virtual_memory(), psutil.disk_io_counters(), psutil.net_io_counters()

    return each(SNAPSHOTS, lambda _: (snapshot(), snapshot()))


def main() -> None:
    """Measure in turns; print the medians."""
    parts = {
        "bare": bare,
        "with the hooks": hooks,
        "made and packed, in the recorder's thread": recorder,
        "psutil": snapshots,
    }
    found: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(TURNS):
        for name, part in parts.items():
            found[name].append(part())
    middle = {name: statistics.median(values) for name, values in found.items()}
    for name, value in middle.items():
        print(f"{name:45} {value:9.2f} µs a task")
    added = middle["with the hooks"] - middle["bare"] + middle["made and packed, in the recorder's thread"]
    print(f"{'added':45} {added:9.2f} µs a task")


if __name__ == "__main__":
    main()
