"""Write into an MLflow database at full speed for some seconds; print how much, and every error, as JSON.

A slow disk gets more time, until LEAST points are written.

usage: writer.py mlflow|sqlite3 DATABASE SECONDS LEAST

DATABASE is a file, or a URI for MLflow.
"""

import json
import sqlite3
import sys
import time
import warnings

warnings.simplefilter("ignore")

how, database, seconds, least = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
AT_MOST = 120  # seconds
written, errors, slowest = 0, [], 0.0
run = None


def with_mlflow():
    """Return a function that logs one point through MLflow's own store."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(database if "://" in database else f"sqlite:///{database}")
    run = client.create_run("0", run_name="writer").info.run_id
    return run, lambda n: client.log_metric(run, "x", n, step=n), lambda: client.set_terminated(run)


def with_sqlite3():
    """Return a function that inserts one point with the time-out that SQLite's users get by default."""
    connection = sqlite3.connect(database, isolation_level=None)
    run = "f" * 32
    connection.execute(
        "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, artifact_uri, experiment_id) "
        "VALUES (?, 'raw', 'RUNNING', ?, 'active', '', 0)",
        (run, int(time.time() * 1000)),
    )

    def log(n: int) -> None:
        connection.execute("INSERT INTO metrics VALUES ('x', ?, ?, ?, ?, 0)", (float(n), n + 1, run, n))
        connection.execute("INSERT OR REPLACE INTO latest_metrics VALUES ('x', ?, ?, ?, 0, ?)", (float(n), 0, n, run))

    return (
        run,
        log,
        lambda: connection.execute("UPDATE runs SET status = 'FINISHED' WHERE run_uuid = ?", (run,)),
    )


run, log, end = with_mlflow() if how == "mlflow" else with_sqlite3()
start = time.monotonic()
while (begin := time.monotonic()) < start + seconds or (written < least and begin < start + AT_MOST):
    try:
        log(written)
        written += 1
    except Exception as error:
        errors.append(str(error)[:300])
    slowest = max(slowest, time.monotonic() - begin)
end()
took = time.monotonic() - start
print(json.dumps({"run": run, "written": written, "errors": errors, "slowest": slowest, "took": took}))
