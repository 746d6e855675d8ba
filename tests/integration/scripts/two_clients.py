"""Two clients on one cluster: each has work of its own, and some that both ask for."""

import json
import sys
import time

from dask.distributed import Client, LocalCluster


def slow(x):
    """Take long enough that both clients want it at a time."""
    time.sleep(0.3)
    return x + 1


def own(x, who):
    """Return what belongs to one client."""
    return f"{who} {x}"


def shared(x):
    """Return what both ask for."""
    return x * x


def main(target):
    workers = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with (
        workers as cluster,
        Client(cluster, set_as_default=False) as first,
        Client(cluster, set_as_default=False) as second,
    ):
        calls = []

        def note(client, futures, others=()):
            wanted = [client.id, *(c.id for c in others)]
            for future in futures:
                calls.append({"key": future.key, "requested_by": wanted, "result": future.result()})

        running = first.map(slow, range(4))
        ready = first.map(shared, range(40))
        first.gather(ready)
        again = second.map(slow, range(4)) + second.map(shared, range(40))
        of_first = first.map(own, range(50), who="ada")
        of_second = second.map(own, range(50), who="grace")
        second.gather(again)
        note(first, running + ready, others=[second])
        note(first, of_first)
        note(second, of_second)
        outcome = {
            "clients": [first.id, second.id],
            "calls": calls,
            "scheduler": cluster.scheduler.id,
        }
    with open(target, "w") as file:
        json.dump(outcome, file)


if __name__ == "__main__":
    main(sys.argv[1])
