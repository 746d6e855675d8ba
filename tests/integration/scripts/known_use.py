"""Dask tasks that use a known amount of something, and a note of what each of them used by its own count."""

import json
import os
import subprocess
import sys
import threading
import time

from dask.distributed import Client, LocalCluster

MIB = 1 << 20
BURN = "import sys,time\nwhile time.process_time() < float(sys.argv[1]): pass"


def burn(case, number, amount):
    """Use so many seconds of CPU."""
    before = time.thread_time()
    while time.thread_time() - before < amount:
        pass
    return {"process.cpu.time": time.thread_time() - before}


def idle(case, number, amount):
    """Do nothing for so many seconds."""
    before = time.thread_time()
    time.sleep(amount)
    return {"process.cpu.time": time.thread_time() - before}


def hold(case, number, amount):
    """Have so many MiB more, for a second."""
    data = bytearray(int(amount) * MIB)
    for at in range(0, len(data), 4096):
        data[at] = 1
    time.sleep(1)
    return {"process.memory.usage": len(data)}


def touch(case, number, amount):
    """Have so many MiB more, for a moment."""
    data = bytearray(int(amount) * MIB)
    for at in range(0, len(data), 4096):
        data[at] = 1
    return {"process.memory.usage": len(data)}


def write(case, number, amount):
    """Write so many MiB to a file."""
    path = f"{case}-{number}.bin"
    block = os.urandom(MIB)
    with open(path, "wb") as file:
        for _ in range(int(amount)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    os.unlink(path)
    return {"process.disk.io.write": int(amount) * MIB}


def spawn(case, number, amount):
    """Have four processes that use so many seconds of CPU each."""
    children = [subprocess.Popen([sys.executable, "-S", "-E", "-c", BURN, str(amount)]) for _ in range(4)]
    before = time.thread_time()
    for child in children:
        child.wait()
    return {"process.cpu.time": 4 * amount + time.thread_time() - before}


def helped(case, number, amount):
    """Have two more threads that use so many seconds of CPU each."""
    used = []

    def work():
        before = time.thread_time()
        while time.thread_time() - before < amount:
            hash(str(before))
        used.append(time.thread_time() - before)

    before = time.thread_time()
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"process.cpu.time": sum(used) + time.thread_time() - before}


WORK = {f.__name__: f for f in (burn, idle, hold, touch, write, spawn, helped)}


def main(target, plan):
    """Run each case as so many tasks at a time as the cluster has threads, one case after the other."""
    plan = json.loads(plan)
    processes, threads = plan["processes"], plan["threads"]
    cluster = LocalCluster(n_workers=processes, threads_per_worker=threads, dashboard_address=None)
    with cluster, Client(cluster) as client:
        client.wait_for_workers(processes)
        # Each process has run a task before: what a first one loads is not what it uses.
        client.gather(client.map(lambda x: x, range(16 * processes), pure=False))
        time.sleep(plan.get("settle", 2.0))
        notes = []
        for case in plan["cases"]:
            time.sleep(
                plan.get("settle", 2.0) / 2
            )  # a sample between: what the last one left behind is not the next one's
            name = f"{case['work']}-{case['amount']:g}"
            futures = []
            works = [case["work"]] * (processes * threads)
            if case.get("beside"):
                works[1::2] = [case["beside"]] * len(works[1::2])
            for number, work in enumerate(works):
                key = f"{name}-{number}"
                futures.append(client.submit(WORK[work], name, number, case["amount"], key=key, pure=False))
            for future, work in zip(futures, works, strict=True):
                notes.append({"key": future.key, "work": work, "amount": case["amount"], "used": future.result()})
        run = {"scheduler": cluster.scheduler.id, "processes": processes, "threads": threads, "notes": notes}
        time.sleep(plan.get("settle", 2.0) / 2)
    with open(target, "w") as file:
        json.dump(run, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
