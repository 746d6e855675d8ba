"""A Dask program with two workers that waits for orders on its input; one line of JSON on its output answers each.

``run N KEY`` runs N tasks on each worker; ``hold`` keeps the second worker from writing its journal, as an overloaded
node does; ``kill`` kills that worker as the out-of-memory killer does; ``close`` ends the cluster.
"""

import json
import os
import signal
import sys

from dask.distributed import Client, Nanny, Scheduler, SpecCluster


def measure(x):
    """Return a number."""
    return x + 0.5


def hold():
    """Stop the recorder's thread of this process in its next flush."""
    import sys
    import threading

    held = 0
    for name, module in list(sys.modules.items()):
        if name.endswith(".observer") and "mida" in name:
            for recorder in list(module.Recorder._all):
                recorder._flush = threading.Event().wait
                held += 1
    assert held


def workers(other_journal):
    options = {"nthreads": 1, "dashboard": False}
    second = dict(options, env={"MIDA_JOURNAL_DIR": other_journal}) if other_journal else options
    return {"one": {"cls": Nanny, "options": options}, "two": {"cls": Nanny, "options": second}}


def main(other_journal=""):
    scheduler = {"cls": Scheduler, "options": {"port": 0, "dashboard": False}}
    with SpecCluster(workers(other_journal), scheduler) as cluster, Client(cluster) as client:
        addresses = [cluster.workers[name].worker_address for name in ("one", "two")]
        pid = client.run(os.getpid, workers=addresses[1:])[addresses[1]]
        print(json.dumps({"workers": addresses, "scheduler": cluster.scheduler.id}), flush=True)
        for line in sys.stdin:
            order, *rest = line.split()
            if order == "run":
                for address in addresses:
                    keys = [f"{rest[1]}-{address}-{i}" for i in range(int(rest[0]))]
                    futures = client.map(measure, range(len(keys)), key=keys, workers=[address])
                    client.gather(futures)
                    client.cancel(futures)
            elif order == "hold":
                client.run(hold, workers=addresses[1:])
            elif order == "kill":
                os.kill(pid, signal.SIGKILL)
            elif order == "close":
                break
            print(json.dumps({"done": order}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
