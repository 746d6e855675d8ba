"""A plain Dask search that goes wrong: one trial after the other, until a file says stop."""

import json
import sys
import time
from pathlib import Path

from dask.distributed import Client, LocalCluster


def trial(number, rate):
    """Train a little; after some trials the rate is too high."""
    time.sleep(0.05)
    return {"loss": 0.5 if number < 5 else 1e6 * rate, "epochs": 3}


def main(target, stop, most):
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        done = 0
        while done < most and not stop.exists():
            client.submit(trial, done, rate=0.1 * (done + 1)).result()
            done += 1
        target.write_text(json.dumps({"trials": done, "stopped": stop.exists()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
