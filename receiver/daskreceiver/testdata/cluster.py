"""A cluster of two worker processes that a test drives: one JSON request a line in, one answer a line out."""

import json
import sys

from distributed import Client, LocalCluster


def incr(x, step=1):
    return x + step


def scale(value, factor):
    return {"product": value * factor, "factor": factor}


def broken(x):
    raise ValueError("no %s" % x)


def run(client, n):
    """Run two maps of n tasks, joined, and one that fails; return what every call was and gave."""
    first = client.map(incr, range(n), step=2, pure=False)
    second = client.map(scale, first, factor=0.5, pure=False)
    fails = client.submit(broken, 1, pure=False)
    client.gather(second)
    truth = {}
    for x, future in enumerate(first):
        truth[future.key] = {"activity": "incr", "used": {"x": x, "step": 2}, "generated": {"value": x + 2}}
    for x, future in enumerate(second):
        truth[future.key] = {
            "activity": "scale",
            "used": {"value": x + 2, "factor": 0.5},
            "generated": {"product": (x + 2) * 0.5, "factor": 0.5},
        }
    truth[fails.key] = {"activity": "broken", "used": {"x": 1}, "error": fails.exception().args[0]}
    return truth


def plugins(client):
    """Return the names of the plugins of the scheduler and of each worker that are not Dask's own."""
    scheduler = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.plugins))
    workers = client.run(lambda dask_worker: list(dask_worker.plugins))
    return [[n for n in names if n.startswith("mida")] for names in [scheduler, *workers.values()]]


def main():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", scheduler_port=int(sys.argv[1])
    ) as cluster, Client(cluster) as client:
        print(json.dumps(cluster.scheduler_address), flush=True)
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "run":
                answer = run(client, request["n"])
            elif request["do"] == "plugins":
                answer = plugins(client)
            else:
                break
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
