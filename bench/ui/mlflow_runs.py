"""Copy an MLflow database, and add an experiment with many runs to it, as a search would log them.

Written into SQLite directly: through MLflow's API 100,000 runs take hours.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing

END = 1_790_000_000_000  # when the last run began, in milliseconds


def rows(runs: int, experiment: int) -> Iterator[tuple[tuple, list[tuple], list[tuple], list[tuple]]]:
    """Yield each run with its parameters, metrics and tags."""
    pick = random.Random(1)
    for i in range(runs):
        run, began = uuid.UUID(int=pick.getrandbits(128)).hex, END - (runs - i) * 1000
        status = "FAILED" if i % 50 == 0 else "FINISHED"
        place = f"/nowhere/{run}"
        head = (run, f"train {i}", "UNKNOWN", "", "", "me", status, began, began + 800, "", "active", place, experiment)
        given = {"layers": 1 + i % 4, "learning_rate": 10 ** -pick.uniform(1, 4), "units": 16 * (1 + i % 3)}
        given["optimizer"] = "adam" if i % 2 else "sgd"
        tags = {"mlflow.user": "me", "mlflow.source.name": "search.py", "mlflow.runName": f"train {i}"}
        yield (
            head,
            [(key, str(value), run) for key, value in given.items()],
            [(key, pick.random(), began, run) for key in ("loss", "accuracy")],
            [(key, value, run) for key, value in tags.items()],
        )


def main() -> None:
    """Write the copy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", help="an SQLite database that MLflow made")
    parser.add_argument("copy", help="where the copy goes; it must not exist")
    parser.add_argument("--runs", type=int, default=100_000)
    args = parser.parse_args()
    with closing(sqlite3.connect(args.database)) as source, closing(sqlite3.connect(args.copy)) as target:
        if target.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise SystemExit(f"{args.copy} exists")
        source.backup(target)
        experiment = target.execute("SELECT max(experiment_id) + 1 FROM experiments").fetchone()[0]
        target.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
            " VALUES (?, ?, '/nowhere', 'active')",
            (experiment, f"{args.runs} runs"),
        )
        columns = "run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time"
        for head, given, metrics, tags in rows(args.runs, experiment):
            target.execute(
                f"INSERT INTO runs ({columns}, source_version, lifecycle_stage, artifact_uri, experiment_id)"
                f" VALUES ({', '.join('?' * len(head))})",
                head,
            )
            target.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", given)
            for table in ("metrics", "latest_metrics"):
                target.executemany(
                    f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",
                    metrics,
                )
            target.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
        target.commit()
    print(f"experiment {experiment} of {args.copy} has {args.runs} runs")


if __name__ == "__main__":
    main()
