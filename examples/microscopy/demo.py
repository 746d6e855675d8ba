"""Run the campaign under observation, and ask the view the questions of a scientist.

The three scripts are run as they are, each by `mida run`: what they did is in the view when that returns. The queries,
while they run and at the end, go to the collector that all share.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mida

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MARK = ".otelcol-mida-demo"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collector", default=str(ROOT / "bin" / "otelcol-mida"))
    parser.add_argument(
        "--workdir", default=str(ROOT / "build" / "demo"), help="emptied first, if an earlier demo made it"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="end when the campaign has ended")
    args = parser.parse_args()

    os.environ["MIDA_BIN"] = args.collector
    work = fresh(Path(args.workdir).resolve())
    started = time.monotonic()
    with mida.campaign("microscopy", state_directory=str(work / "mida-data")) as campaign:
        client = campaign.client
        ready = time.monotonic() - started
        say(f"A collector answers at {client.endpoint} after {ready:.2f} s; the campaign works in {show(work)}")
        for number in (1, 2):
            run("acquire", number, args.seed, work)
            watch_search(client, number, args.seed, work)
            run("evaluate", number, args.seed, work)
        summary(client)
        listing_1(client)
        lineage_of_best(client)
        where_next(client, work, args.once)
        if not args.once:
            stay()
    return 0


def stay() -> None:
    """Stay until Ctrl-C."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def fresh(work: Path) -> Path:
    """Return an empty working directory; only one that an earlier demo made is emptied."""
    if work.exists() and any(work.iterdir()):
        if not (work / MARK).exists():
            sys.exit(f"demo: {work} is not empty and no demo made it; choose another --workdir")
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    (work / MARK).touch()
    for name in ("mida.yaml", "rules.yaml"):
        shutil.copy(HERE / name, work)
    return work


def start(script: str, number: int, seed: int, work: Path) -> subprocess.Popen:
    """Start one of the scientist's scripts, observed."""
    env = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    env["MLFLOW_DISABLE_TELEMETRY"] = "true"
    observed = [sys.executable, "-m", "mida", "run", "--"]
    command = [*observed, sys.executable, str(HERE / f"{script}.py"), "--round", str(number), "--seed", str(seed)]
    with (work / f"{script}{number}.out").open("wb") as out:
        return subprocess.Popen(command, cwd=work, env=env, stdout=out, stderr=out)


def finish(process: subprocess.Popen, script: str, number: int, work: Path) -> None:
    if process.wait() != 0:
        sys.exit(f"demo: {script}.py failed:\n{(work / f'{script}{number}.out').read_text()[-3000:]}")


def run(script: str, number: int, seed: int, work: Path) -> None:
    say(f"Round {number}: {script}.py")
    finish(start(script, number, seed, work), script, number, work)


def watch_search(client: mida.Client, number: int, seed: int, work: Path) -> None:
    """Run the search, and show what the view knows while it runs."""
    say(f"Round {number}: search.py")
    began = time.time()
    process = start("search", number, seed, work)
    shown = number > 1
    while process.poll() is None:
        time.sleep(0.1)
        if shown:
            continue
        mine = {"kind": "dask", "activity_id": "train", "submitted_at": {"$gte": began}}
        rows = client.query(["status"], [("count", "id")], mine)
        counts = {row["status"]: row["count"] for row in rows}
        if counts.get("FINISHED", 0) >= 5 and process.poll() is None:
            shown = True
            say("A first query, while workflow 2 still runs: training tasks by status, and the best so far")
            table(rows, ["status", "count"])
            fields = ["used.layers", "used.units", "used.optimizer", "generated.val_loss", "elapsed"]
            done = {**mine, "status": "FINISHED"}
            table(client.query(fields, filter=done, sort=[("generated.val_loss", mida.ASCENDING)], limit=3), fields)
    finish(process, "search", number, work)
    if not shown:
        print("  (the search was over before five of its tasks could be asked for: a busy machine)")


def summary(client: mida.Client) -> None:
    say("The campaign as the view has it: workflows, all three tools side by side")
    rows = []
    for w in client.workflows():
        by_status = ", ".join(f"{n} {status}" for status, n in sorted(w["by_status"].items()))
        rows.append(
            {
                "workflow": w.get("workflow_name") or w["workflow_id"],
                "kind": w["kind"],
                "tasks": w["tasks"],
                "status": by_status,
            }
        )
    table(rows, ["workflow", "kind", "tasks", "status"])


def listing_1(client: mida.Client) -> None:
    say("Least loss per number of layers (the query of Listing 1 in the MIDA paper)")
    print('  mida.query(projection=["used.layers", "generated.loss"],')
    print('             aggregation=[("min", "generated.loss")],')
    print('             filter={"activity_id": "train", "status": "FINISHED"},')
    print('             sort=[("min(generated.loss)", mida.ASCENDING)])\n')
    rows = client.query(
        projection=["used.layers", "generated.loss"],
        aggregation=[("min", "generated.loss")],
        filter={"activity_id": "train", "status": "FINISHED"},
        sort=[("min(generated.loss)", mida.ASCENDING)],
    )
    table(rows, ["used.layers", "min(generated.loss)", "count"])


def lineage_of_best(client: mida.Client) -> None:
    fields = ["id", "task_id", "used.model_path", "generated.mse"]
    best = client.query(
        fields,
        filter={"kind": "mlflow", "generated.mse": {"$exists": True}},
        sort=[("generated.mse", mida.ASCENDING)],
        limit=1,
    )[0]
    say(f"Lineage of the best evaluated model: MLflow run {best['task_id'][:8]}…, mse {best['generated.mse']:.4f}")
    graph = client.lineage(best["id"])
    tasks = {t["id"]: t for t in graph["tasks"]}
    into: dict = {}
    for link in graph["links"]:
        into.setdefault(link["to"], []).append(link)
    print("  " + describe(tasks[best["id"]]))
    print_upstream(best["id"], tasks, into, "  ", set())


def print_upstream(task_id: str, tasks: dict, into: dict, indent: str, seen: set) -> None:
    """Print what a task came from: sources that come from nothing else on one line by activity, the others each."""
    seen.add(task_id)
    by_source: dict = {}
    for link in into.get(task_id, []):
        by_source.setdefault(link["from"], []).append(link)
    ends: dict = {}
    for source in sorted(by_source, key=lambda s: tasks[s].get("started_at") or 0):
        t, links = tasks[source], by_source[source]
        evidence = ", ".join(f"{link['evidence']} {link['confidence']:.2f}" for link in links)
        if source in seen or not into.get(source):
            ends.setdefault((t["activity_id"], t["kind"], evidence), []).extend(files(links))
            continue
        print(f"{indent}└─ {describe(t)}")
        print(f"{indent}   ↑ {', '.join(files(links)) or 'its result'}   [{evidence}]")
        print_upstream(source, tasks, into, indent + "   ", seen)
    for (activity, kind, evidence), names in ends.items():
        print(f"{indent}└─ {activity} × {len(names)} ({kind})")
        print(f"{indent}   ↑ {', '.join(names)}   [each {evidence}]")


def files(links: list) -> list:
    """Return short names of what links are about; a dependency that the tool declared names none."""
    return [link["entity"].rsplit("/", 1)[-1] for link in links if link["evidence"] != "declared"]


def describe(t: dict) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(t["ended_at"])) if t.get("ended_at") else "running"
    name = t["activity_id"] if t["activity_id"] != t.get("workflow_name") else "task"
    return f"{name} {str(t['task_id'])[:24]} ({t['kind']}, {t.get('workflow_name') or t.get('workflow_id')}, {at})"


def where_next(client: mida.Client, work: Path, once: bool) -> None:
    say("Where to look next")
    print("  README.md                        the shortest path from your own campaign to a first query")
    print("  docs/query.md                    the query language;  docs/log-rules.md: rules for your own logs")
    print("  examples/microscopy/mida.yaml, rules.yaml: all that was said about this campaign")
    if once:
        print(f"  {show(work / 'mida-data' / 'mida.db')}   the view; without ONCE=1 the collector stays up to be asked")
        return
    print(f"\n  The collector stays up at {client.endpoint}; Ctrl-C ends it. In another terminal:")
    print(f"    cd {show(work)}")
    print(f"    export PATH={Path(sys.executable).parent}:$PATH   # where mida is")
    print("    mida ui                                  # all of it in the browser")
    print("    mida status")
    print("    mida query --filter 'generated.loss<0.3' --format table")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def table(rows: list, columns: list) -> None:
    """Print rows of a query, aligned."""
    cells = [[show_value(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(c), *(len(r[i]) for r in cells)) if cells else len(c) for i, c in enumerate(columns)]
    for line in [columns, ["-" * w for w in widths], *cells]:
        print("  " + "  ".join(text.ljust(w) for text, w in zip(line, widths)).rstrip())
    sys.stdout.flush()


def show_value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def show(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    sys.exit(main())
