"""A plain Dask program: 5,000 tasks in two maps on two worker processes, and a note of what it called."""

import json
import os
import sys

from dask.distributed import Client, LocalCluster


def scale(x, factor, offset=0.5):
    """Return a number."""
    return x * factor + offset


def describe(value, label, note=None):
    """Return a mapping of several types."""
    return {
        "value": value,
        "label": label,
        "positive": value > 0,
        "note": note,
        "whole": int(value),
    }


def main(target, count):
    numbers = [(i - count // 2) * (1 if i % 3 else 0.25) for i in range(count)]
    labels = [f"größe {i % 7}" for i in range(count)]
    workers = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with workers as cluster, Client(cluster) as client:
        scaled = client.map(scale, numbers, factor=2.5)
        described = client.map(describe, scaled, labels, note="second map")
        lines = []
        for future, result, x in zip(scaled, client.gather(scaled), numbers, strict=True):
            arguments = {"x": x, "factor": 2.5}
            lines.append({"key": future.key, "function": "scale", "arguments": arguments, "result": result})
        for i, (future, result) in enumerate(zip(described, client.gather(described), strict=True)):
            arguments = {"value": {"$key": scaled[i].key}, "label": labels[i], "note": "second map"}
            lines.append(
                {
                    "key": future.key,
                    "function": "describe",
                    "arguments": arguments,
                    "result": result,
                }
            )
        run = {
            "client": client.id,
            "scheduler": cluster.scheduler.id,
            "pid": os.getpid(),
            "calls": lines,
        }
    with open(target, "w") as file:
        json.dump(run, file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
