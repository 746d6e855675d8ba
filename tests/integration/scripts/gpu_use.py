"""Dask tasks that use a known amount of a GPU, and a note of what NVIDIA's driver said of each while it ran."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time

from dask.distributed import Client, LocalCluster

GIB = 1 << 30
SIZE = 8192  # of the matrices: a product takes about a millisecond, and fills the GPU
CHILD = """
import sys, time, torch
data = torch.zeros(int(sys.argv[1]), dtype=torch.uint8, device="cuda")
torch.cuda.synchronize()
time.sleep(float(sys.argv[2]))
"""


class Driver:
    """What the driver says while a task runs: all of it is kept, ten times a second."""

    def __init__(self):
        import pynvml

        self._nvml = pynvml
        pynvml.nvmlInit()
        self._card = pynvml.nvmlDeviceGetHandleByIndex(0)
        self._pids = {os.getpid()}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._after = 0
        self.samples = []

    def watch(self, pid):
        """Count a child, too."""
        self._pids.add(pid)

    def joules(self):
        return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._card) / 1000

    def sample(self):
        n, card = self._nvml, self._card
        listed = {p.pid: p.usedGpuMemory for p in n.nvmlDeviceGetComputeRunningProcesses(card)}
        busy = []
        with contextlib.suppress(n.NVMLError):  # it says so when nothing is new
            busy = [(s.pid, s.timeStamp, s.smUtil) for s in n.nvmlDeviceGetProcessUtilization(card, self._after)]
        self._after = max([self._after, *(at for _, at, _ in busy)])
        self.samples.append(
            {
                "at": time.time(),
                "memory": sum(listed.get(pid) or 0 for pid in self._pids),
                "listed": listed,
                "busy": busy,
                "utilization": n.nvmlDeviceGetUtilizationRates(card).gpu / 100,
                "watts": n.nvmlDeviceGetPowerUsage(card) / 1000,
            }
        )

    def _look(self):
        while not self._end.wait(0.1):
            self.sample()

    def __enter__(self):
        self.sample()
        self.began, self.at_first = time.time(), self.joules()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.energy, self.ended = self.joules() - self.at_first, time.time()
        self._end.set()
        self._thread.join()
        self.sample()

    def note(self, **more):
        """Return what is to be compared."""
        return {
            "pid": os.getpid(),
            "began": self.began,
            "ended": self.ended,
            "energy": self.energy,
            "memory": max(s["memory"] for s in self.samples),
            "utilization": max(s["utilization"] for s in self.samples),
            "watts": max(s["watts"] for s in self.samples),
            "samples": self.samples,
            **more,
        }


def load():
    """Load what tasks need, without touching the GPU."""
    import pynvml
    import torch

    return pynvml.__name__, torch.__version__


def hold(amount, seconds):
    """Have so many GiB for so many seconds, and do nothing with them."""
    import torch

    with Driver() as driver:
        data = torch.zeros(int(amount * GIB), dtype=torch.uint8, device="cuda")
        torch.cuda.synchronize()
        time.sleep(seconds)
        asked = data.numel()
    del data
    torch.cuda.empty_cache()
    return driver.note(asked=asked)


def burn(amount, seconds):
    """Multiply matrices for so many seconds; the GPU's own clock says for how long it did."""
    import torch

    with Driver() as driver:
        a = torch.randn(SIZE, SIZE, dtype=torch.bfloat16, device="cuda")
        b = torch.randn(SIZE, SIZE, dtype=torch.bfloat16, device="cuda")
        out = torch.empty_like(a)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        busy, until = 0.0, time.monotonic() + seconds
        while time.monotonic() < until:
            begin.record()
            for _ in range(50):
                torch.matmul(a, b, out=out)
            end.record()
            end.synchronize()
            busy += begin.elapsed_time(end) / 1000
    del a, b, out
    torch.cuda.empty_cache()
    return driver.note(busy=busy)


def idle(amount, seconds):
    """Do nothing."""
    with Driver() as driver:
        time.sleep(seconds)
    return driver.note()


def child(amount, seconds):
    """Have a process that has so many GiB for so many seconds."""
    with Driver() as driver:
        process = subprocess.Popen([sys.executable, "-c", CHILD, str(int(amount * GIB)), str(seconds)])
        driver.watch(process.pid)
        code = process.wait(60)
    assert code == 0, f"the child ended with {code}"
    return driver.note(asked=int(amount * GIB), child=process.pid)


def overflow(amount, seconds):
    """Want more memory than the GPU has."""
    import torch

    _, total = torch.cuda.mem_get_info()
    return torch.empty(int(amount * total), dtype=torch.uint8, device="cuda").numel()


WORK = {f.__name__: f for f in (hold, burn, idle, child, overflow)}


def main(target, plan):
    """Run the cases one after the other: of each, its tasks at the same time, each in the process that it names."""
    plan = json.loads(plan)
    cluster = LocalCluster(
        n_workers=plan["processes"], threads_per_worker=plan["threads"], dashboard_address=None, memory_limit=0
    )
    with cluster, Client(cluster) as client:
        client.wait_for_workers(plan["processes"], timeout=60)
        loaded = client.run(load)
        workers = sorted(loaded)
        time.sleep(plan["settle"])
        notes = []
        for number, case in enumerate(plan["cases"]):
            futures = []
            for at, (worker, work, amount, seconds) in enumerate(case["tasks"]):
                key = f"{case['name']}-{number}-{at}"
                task = client.submit(
                    WORK[work], amount, seconds, key=key, workers=[workers[worker]], pure=False, retries=0
                )
                futures.append((task, {"key": key, "case": case["name"], "work": work, "amount": amount}))
            for task, note in futures:
                error = task.exception(timeout=90)
                note["error"] = repr(error) if error else None
                note["truth"] = {} if error else task.result()
                notes.append(note)
            time.sleep(plan["settle"])  # a sample between
        run = {"scheduler": cluster.scheduler.id, "versions": next(iter(loaded.values())), "notes": notes, **plan}
    with open(target, "w") as file:
        json.dump(run, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
