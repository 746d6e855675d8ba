"""Run the example campaign under FlowCept, as its documentation says, and serve its web UI over what it recorded.

The scripts of examples/microscopy are copied, and get the lines that FlowCept's adapters and decorator need; the
difference is printed. FlowCept gets an environment of its own, Redis comes from bench/flowcept.sh. The UI wants
MongoDB: --mongo names one. --stand-in is for mongo-java-server in its place, see docs/comparison.md.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from peers import script  # noqa: E402
from pipeline import free_port, until  # noqa: E402

SCRIPTS = HERE.parent.parent / "examples" / "microscopy"
PACKAGES = [
    "flowcept[dask,redis,mlflow,mongo,telemetry,webservice,lmdb]==1.0.3",
    "scikit-learn",
    "matplotlib",
    "mlflow==3.17.2",
]
# pymongo 4.11 and newer refuse a server that speaks an older protocol than MongoDB 4.4, as the stand-in does.
STAND_IN = ["pymongo==4.10.1"]

IMPORT = ("from labbook import", "from flowcept import {names}\n\nfrom labbook import")
MAIN = (
    'if __name__ == "__main__":\n    main()',
    'if __name__ == "__main__":\n    with Flowcept({arguments}):\n        main()',
)
CALLS = """        calls = DaskCalls(client)
        ranking = search(calls, images, args.round, args.seed)
        calls.note("search", **run)
"""
OBSERVED = """        client.register_plugin(FlowceptDaskWorkerAdapter())
        with Flowcept("dask", dask_client=client, campaign_id="microscopy", workflow_name="search"):
            calls = DaskCalls(client)
            ranking = search(calls, images, args.round, args.seed)
            calls.note("search", **run)
            client.close()
            cluster.close()
"""
CHANGES = {
    "acquire": [
        (IMPORT[0], IMPORT[1].format(names="Flowcept, flowcept_task")),
        ("def acquire(number", "@flowcept_task\ndef acquire(number"),
        (MAIN[0], MAIN[1].format(arguments='campaign_id="microscopy", workflow_name="acquire"')),
    ],
    "search": [(IMPORT[0], IMPORT[1].format(names="Flowcept, FlowceptDaskWorkerAdapter")), (CALLS, OBSERVED)],
    "evaluate": [
        (IMPORT[0], IMPORT[1].format(names="Flowcept")),
        (MAIN[0], MAIN[1].format(arguments='"mlflow", campaign_id="microscopy", workflow_name="evaluate"')),
    ],
}


def environment(packages: list[str]) -> Path:
    """Return the interpreter of an environment with these packages; that of bench/stores.py stays as it is."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("MIDA_CACHE") or home / "otelcol-mida")
    python = cache / "bench" / "flowcept-ui" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def adapt(into: Path) -> None:
    """Copy the scripts, with the lines that FlowCept needs, and print these."""
    into.mkdir()
    shutil.copy(SCRIPTS / "labbook.py", into)
    for name, changes in CHANGES.items():
        before = after = (SCRIPTS / f"{name}.py").read_text()
        for old, new in changes:
            if after.count(old) != 1:
                raise SystemExit(f"{name}.py has changed: {old!r} is there {after.count(old)} times")
            after = after.replace(old, new)
        (into / f"{name}.py").write_text(after)
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), f"{name}.py", "with FlowCept", lineterm="", n=0
        )
        print("\n".join(lines))


def listens(port: int) -> bool:
    """Say whether somebody listens on a port of this machine."""
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def settings(work: Path, redis: int, web: int, mongo: str) -> dict:
    """Return FlowCept's settings: all that it can record, flushed each second."""
    host, _, port = mongo.partition(":")
    queue = {"enabled": True, "host": "127.0.0.1", "port": redis}
    telemetry = dict.fromkeys(["cpu", "process_info", "mem", "disk", "network", "machine_info"], True)
    return {
        "project": {"db_flush_mode": "online", "enrich_messages": True, "json_serializer": "default"},
        "log": {"log_file_level": "error", "log_stream_level": "error"},
        "telemetry_capture": {**telemetry, "gpu": None, "per_cpu": False},
        "instrumentation": {"enabled": True},
        "mq": {**queue, "type": "redis", "channel": "interception", "buffer_size": 50, "insertion_buffer_time_secs": 1},
        "kv_db": queue,
        "db_buffer": {"insertion_buffer_time_secs": 1, "buffer_size": 50},
        "web_server": {
            "host": "127.0.0.1",
            "port": web,
            "ui_enabled": True,
            "dashboards_dir": str(work / "dashboards"),
        },
        "databases": {
            "lmdb": {"enabled": True, "path": str(work / "lmdb")},
            "mongodb": {"enabled": True, "host": host, "port": int(port or 27017), "db": "flowcept"},
        },
        "adapters": {
            "mlflow": {"kind": "mlflow", "file_path": str(work / "run" / "mlflow.db"), "watch_interval_sec": 1},
            "dask": {"kind": "dask", "worker_should_get_input": True, "worker_should_get_output": True},
        },
    }


def main() -> None:
    """Run the campaign, then serve the UI until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mongo", default="127.0.0.1:27017", help="host:port of MongoDB")
    parser.add_argument("--stand-in", action="store_true", help="it is mongo-java-server: say updates in its way")
    parser.add_argument("--port", type=int, default=8008, help="of the web UI")
    args = parser.parse_args()
    _, redis, libraries = script("flowcept.sh")
    python = environment([*PACKAGES, *(STAND_IN if args.stand_in else [])])
    work = Path(tempfile.mkdtemp(prefix="flowcept-"))
    (work / "run").mkdir()
    adapt(work / "scripts")
    port = free_port()
    (work / "settings.yaml").write_text(yaml.safe_dump(settings(work, port, args.port, args.mongo)))
    env = {**os.environ, "FLOWCEPT_SETTINGS_PATH": str(work / "settings.yaml"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    env |= dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
    if args.stand_in:
        env["PYTHONPATH"] = str(HERE / "standin")
    queue = subprocess.Popen(
        [redis, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(work)],
        env={**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})},
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: listens(port), 60, "Redis listens")
        for number in ("1", "2"):
            for name in CHANGES:
                command = [python, work / "scripts" / f"{name}.py", "--round", number]
                subprocess.run(command, cwd=work / "run", env=env, check=True)
        print(f"http://127.0.0.1:{args.port}/ shows it until Ctrl-C; all of it is in {work}", flush=True)
        web = ["-m", "uvicorn", "flowcept.webservice.main:app", "--host", "127.0.0.1", "--port", str(args.port)]
        subprocess.run([python, *web], cwd=work, env=env, check=False)
    except KeyboardInterrupt:
        print()
    finally:
        queue.terminate()
        queue.wait()


if __name__ == "__main__":
    main()
