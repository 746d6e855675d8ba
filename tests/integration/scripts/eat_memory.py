"""A Dask task that wants more memory than there is until the kernel kills its worker, and what became of it."""

import json
import sys
import time

from dask.distributed import Client, LocalCluster


def eat(mebibytes):
    """Have more and more memory."""
    time.sleep(2)
    parts = []
    for _ in range(mebibytes // 10):
        part = bytearray(10 << 20)
        for at in range(0, len(part), 4096):
            part[at] = 1
        parts.append(part)
        time.sleep(0.01)
    return len(parts)


def refuse(number):
    """Fail as a GPU library does."""
    raise RuntimeError(f"CUDA out of memory. Tried to allocate {number}.00 GiB (GPU 0)")


def main(target, mebibytes):
    import dask

    dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.worker.memory.terminate": False})
    workers = LocalCluster(n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=None)
    with workers as cluster, Client(cluster) as client:
        gpu = client.submit(refuse, 2, key="gpu")
        errors = {"gpu": repr(gpu.exception())}
        if mebibytes:
            eaten = client.submit(eat, mebibytes, key="eater")
            errors["eater"] = repr(eaten.exception())
        run = {"scheduler": cluster.scheduler.id, "errors": errors}
        time.sleep(3)  # the collector hears of the worker's end
    with open(target, "w") as file:
        json.dump(run, file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
