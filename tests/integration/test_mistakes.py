"""Usual mistakes: each gives a message that names the fix, at the start where it can be known, and in `mida doctor`."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from support.collector import ROOT, Collector, binary, free_port
from support.poll import until

LAPTOP = ROOT / "distributions" / "otelcol-mida" / "laptop.yaml"
SCHEDULER = Path(__file__).resolve().parent / "scripts" / "scheduler_of.py"
RULES = {
    "line": "{time} {level}: {message}",
    "rules": [{"name": "an image", "match": "image {number:int} saved", "whole_task": "image", "task": "{number}"}],
}
LOCAL_CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    print(cluster.scheduler_address, flush=True)
    sys.stdin.readline()
"""
ADA, GRACE = 61001, 61002


def observing(**receivers: dict) -> dict:
    """Return an overlay in which these receivers are all that is observed."""
    unset = {"dask": {"schedulers": [], "scheduler_files": []}, "mlflow": {"tracking_uri": "sqlite:///none.db"}}
    tasklog = {"campaign": "c", "storage": "file_storage", **RULES, **receivers.get("tasklog", {})}
    names = list(receivers) or ["dask"]
    return {
        "receivers": {
            **{name: {**unset[name], "campaign": "c", **receivers.get(name, {})} for name in unset},
            **({"tasklog": tasklog} if "tasklog" in receivers else {}),
        },
        "service": {"pipelines": {"logs": {"receivers": names}}},
    }


def collector(tmp_path: Path, **receivers: dict) -> Collector:
    return Collector(tmp_path, [LAPTOP, observing(**receivers)], env={"MIDA_CAMPAIGN": "c"})


def mida(*arguments: str, cwd: Path, code: int | None = None, env: dict | None = None) -> str:
    """Run the command and return all that it says."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MIDA_")}
    done = subprocess.run(
        [sys.executable, "-m", "mida", *arguments],
        cwd=cwd,
        env={**kept, "MIDA_BIN": str(binary()), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if code is not None:
        assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def says(running: Collector, *words: str, arguments: tuple = ()) -> str:
    """Wait until `mida doctor` says all of this, and return what it says."""
    last = [""]

    def said() -> bool:
        last[0] = mida("doctor", *arguments, "--state-directory", str(running.data), cwd=running.workdir)
        return all(word in last[0] for word in words)

    until(said, 60, f"doctor says {words}", interval=0.3)
    return last[0]


def offline(running: Collector, *words: str, code: int = 1) -> None:
    """Check what is said of the configuration while no collector runs."""
    text = mida("doctor", *running.configuration, cwd=running.workdir, code=code, env=running.environment)
    for word in words:
        assert word in text, text


def log(path: Path, *messages: str, at: datetime.datetime | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    at = at or datetime.datetime.now()
    with path.open("a") as f:
        f.writelines(f"{at:%Y-%m-%d %H:%M:%S} INFO: {m}\n" for m in messages)
    return path


def test_nothing_is_wrong(tmp_path):
    """What is as it should be is said to be: reached, with what was seen there."""
    path = log(tmp_path / "logs" / "a.log", "image 1 saved", "image 2 saved", "image 3 saved")
    with collector(tmp_path, tasklog={"include": ["logs/*.log"]}) as running:
        text = says(running, "tasklog, campaign c: reached", f"+ {path}: 3 entries", "3 matched by a rule")
        assert "nothing looks wrong" in text
        mida("doctor", "--state-directory", str(running.data), cwd=tmp_path, code=0)
    offline(running, "tasklog: nothing looks wrong", "collector: nothing looks wrong", code=0)


def test_wrong_path(tmp_path):
    """A directory that does not exist: the one that was meant is named."""
    log(tmp_path / "logs" / "a.log", "image 1 saved")
    with collector(tmp_path, tasklog={"include": ["lgos/*.log"]}) as running:
        want = f"the directory {tmp_path}/lgos does not exist: did you mean {tmp_path}/logs?"
        says(running, want)
        assert want in running.log
    offline(running, want, code=0)


def test_glob_without_match(tmp_path):
    """A pattern that fits no file: what lies there is named."""
    log(tmp_path / "logs" / "a.txt", "image 1 saved")
    with collector(tmp_path, tasklog={"include": ["logs/*.log"]}) as running:
        want = f'"*.log" matches no file; in {tmp_path}/logs there is a.txt: correct the pattern, such as '
        want += f'"{tmp_path}/logs/*.txt"'
        says(running, want)
        assert want.replace('"', '\\"') in running.log
    offline(running, want, code=0)


def test_rules_without_match(tmp_path):
    """Rules that fit no line: the first lines are shown, with the rule that comes closest."""
    log(tmp_path / "logs" / "a.log", *(f"image {n} written" for n in range(6)))
    with collector(tmp_path, tasklog={"include": ["logs/*.log"]}) as running:
        text = says(running, "no rule fits any of its", "`mida rules test` shows", "image 0 written")
        assert (
            'rule "an image" fits up to "image 0 ", and wants' in text
            or 'then wants "saved"' in text
            or "an image" in text
        )
        assert "trouble" in text
        assert "image 0 written" in running.log
        until(lambda: "no rule fits any entry of this log so far: correct the rules" in running.log, 60, "it is logged")
        mida("doctor", "--state-directory", str(running.data), cwd=tmp_path, code=1)


def test_entries_that_are_not_as_their_rule_says(tmp_path):
    """A value that has not its type is named with its rule."""
    rules = {"rules": [{"name": "loss", "regex": "loss (?P<loss>.*)", "types": {"loss": "float"}, "whole_task": "t"}]}
    log(tmp_path / "logs" / "a.log", "loss high", "loss 0.5", "loss 0.4")
    with collector(tmp_path, tasklog={"include": ["logs/*.log"], **rules}) as running:
        says(running, '1 entries are not as the rule "loss" says', "correct its types")


def test_wrong_port(tmp_path):
    """Nobody listens there: a scheduler of the user's that runs elsewhere is named."""
    (tmp_path / "own.py").write_text(LOCAL_CLUSTER)
    wrong = f"tcp://127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [sys.executable, tmp_path / "own.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as job:
        try:
            job.stdout.readline()
            with collector(tmp_path, dask={"schedulers": [wrong]}) as running:
                says(running, f"? {wrong}", "nobody listens there", "a scheduler of yours runs at tcp://127.0.0.1:")
                assert "nobody listens there" in running.log
        finally:
            job.kill()


def test_port_of_another_program(tmp_path):
    """Something listens there that is no scheduler."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with collector(tmp_path, dask={"schedulers": [address], "attach": {"timeout": "500ms"}}) as running:
            says(
                running,
                f"! {address}",
                "no Dask scheduler answers there",
                "name the scheduler's own port in schedulers",
            )


@pytest.mark.two_users
def test_cluster_of_another_user(tmp_path):
    """A scheduler of somebody else is not attached to; the key that allows it is named."""
    with subprocess.Popen(
        [sys.executable, str(SCHEDULER), str(GRACE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            address = yaml.safe_load(process.stdout.readline())["address"]
            with collector(tmp_path, dask={"schedulers": [address]}) as running:
                want = f"the scheduler belongs to user {GRACE}, this collector runs as user {os.geteuid()}"
                says(running, f"! {address}", want, "set allow_foreign_owner: true")
                assert want in running.log
        finally:
            process.kill()


def test_server_where_a_database_is_meant(tmp_path):
    """The address of an MLflow server: the database in which it keeps its runs is named."""
    port = str(free_port())
    script = tmp_path / "mlflow"  # a process with the command line of `mlflow server`, which is all that is looked at
    script.write_text("import sys; sys.stdin.readline()")
    command = [sys.executable, str(script), "server", "--backend-store-uri", "sqlite:///runs/mlflow.db", "--port", port]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE) as server:
        try:
            running = collector(tmp_path, mlflow={"tracking_uri": f"http://127.0.0.1:{port}"}).spawn()
            assert running.wait(30) != 0
            for text in (running.log, mida("doctor", *running.configuration, cwd=tmp_path, env=running.environment)):
                assert "a server's address is no database: name the one that the server keeps its runs in" in text
                assert f"tracking_uri: sqlite:///{tmp_path}/runs/mlflow.db (process {server.pid} (mlflow))" in text
        finally:
            server.kill()


@pytest.mark.two_users
def test_no_permission(tmp_path):
    """Files of another user: who may not read what, and what to do."""
    home = Path(tempfile.mkdtemp(prefix="mida-denied-"))
    try:
        home.chmod(0o755)
        work = home / "ada"
        program = home / "otelcol-mida"
        shutil.copy(binary(), program)
        program.chmod(0o755)
        secret = log(work / "logs" / "a.log", "image 1 saved")
        sqlite3.connect(work / "mlflow.db").execute("CREATE TABLE x (y)")
        config = home / "laptop.yaml"
        shutil.copy(LAPTOP, config)
        for path in (work, work / "logs"):
            os.chown(path, ADA, ADA)
        for path in (secret, work / "mlflow.db"):
            path.chmod(0o600)
        user = {"user": ADA, "group": ADA, "extra_groups": []}
        overlay = observing(tasklog={"include": ["logs/*.log"]}, mlflow={"tracking_uri": "sqlite:///mlflow.db"})
        running = Collector(work, [config, overlay], popen=user, program=program, env={"MIDA_CAMPAIGN": "c"})
        with running:
            token = (running.data / "token").read_text().strip()

            def both() -> bool:
                text = mida(
                    "doctor",
                    "--endpoint",
                    f"http://127.0.0.1:{running.query_port}",
                    cwd=home,
                    env={"MIDA_TOKEN": token},
                )
                want = f"the collector runs as user {ADA}, who may not read it; let that user read it"
                return text.count(want) >= 2 and "a.log" in text and "mlflow.db" in text

            until(both, 60, "both are explained")
            assert f"runs as user {ADA}, who may not read it" in running.log
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_campaign_mismatch(tmp_path):
    """A campaign that nobody writes to: those that there are, and what the observers write to."""
    log(tmp_path / "logs" / "a.log", "image 1 saved", "image 2 saved")
    with collector(tmp_path, tasklog={"include": ["logs/*.log"], "campaign": "search"}) as running:
        until(lambda: running.client().query(filter={"campaign_id": "search"}), 60, "the tasks")
        text = says(
            running, 'no task is in the campaign "serach"', 'did you mean "search"?', arguments=("--campaign", "serach")
        )
        assert 'there is "search"' in text and "MIDA_CAMPAIGN" in text


def test_collector_not_running(tmp_path):
    """No collector: what to start, and where."""
    text = mida("doctor", cwd=tmp_path, code=3)
    assert "no collector found" in text and "`mida up`" in text


def test_wrong_token(tmp_path):
    """A token of another collector: where it came from, and where the right one is."""
    with collector(tmp_path) as running:
        text = mida(
            "doctor",
            cwd=tmp_path,
            code=3,
            env={"MIDA_ENDPOINT": f"http://127.0.0.1:{running.query_port}", "MIDA_TOKEN": "wrong"},
        )
    assert "the token is missing or wrong" in text and "mida-data/token" in text


def test_database_that_is_too_old(tmp_path):
    """A database of an MLflow before the versions that are read: how to upgrade it."""
    database = sqlite3.connect(tmp_path / "old.db")
    for table in ("experiments", "runs", "params", "metrics", "tags"):
        database.execute(f"CREATE TABLE {table} (x)")
    database.commit()
    with collector(tmp_path, mlflow={"tracking_uri": "sqlite:///old.db"}) as running:
        want = "it has no table latest_metrics; take a copy, then `mlflow db upgrade"
        says(running, want, f"sqlite:///{tmp_path}/old.db")
        until(lambda: want in running.log, 60, "it is in the log")


def test_database_of_another_program(tmp_path):
    """A database that is not MLflow's."""
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE x (y)")
    with collector(tmp_path, mlflow={"tracking_uri": "sqlite:///other.db"}) as running:
        says(running, "name MLflow's own database in tracking_uri, such as sqlite:///mlflow.db")
    offline(running, "name MLflow's own database in tracking_uri")


def test_file_store(tmp_path):
    """MLflow wrote to mlruns, where a database was expected: how to go over to one."""
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\n")
    with collector(tmp_path, mlflow={"tracking_uri": "sqlite:///mlflow.db"}) as running:
        want = f"{tmp_path}/mlruns is MLflow's file store, which is not read"
        says(running, want, "MLFLOW_TRACKING_URI=sqlite:///", "mlflow migrate-filestore")
        assert want in running.log
    offline(running, want)


def test_wrong_directory(tmp_path):
    """The script ran elsewhere: its database is found near."""
    (tmp_path / "scripts").mkdir()
    sqlite3.connect(tmp_path / "scripts" / "mlflow.db").execute("CREATE TABLE x (y)")
    with collector(tmp_path, mlflow={"tracking_uri": "sqlite:///mlflow.db"}) as running:
        says(running, f"tracking_uri: sqlite:///{tmp_path}/scripts/mlflow.db", "a relative tracking_uri starts where")


def test_times_of_another_zone(tmp_path):
    """Times without a zone that lie ahead of the clock: the key that says the zone."""
    ahead = datetime.datetime.now() + datetime.timedelta(hours=2)
    log(tmp_path / "logs" / "a.log", "image 1 saved", "image 2 saved", "image 3 saved", at=ahead)
    with collector(tmp_path, tasklog={"include": ["logs/*.log"]}) as running:
        want = "ahead of this machine's clock: if they are of another time zone, set timezone: in its rules"
        says(running, "the times in it are 2h0m0s", want)
        until(lambda: want in running.log, 60, "it is in the log")
        says(running, "campaign c: its last task is", "set timezone:")


def test_two_collectors_on_one_directory(tmp_path):
    """The second one is refused, whichever of its parts finds out first; which one runs there, and what to change."""
    with collector(tmp_path) as first:
        second = Collector(tmp_path, [LAPTOP, observing()], data=first.data).spawn()
        assert second.wait(30) != 0
        assert "stop that collector, or give this one another" in second.log, second.tail()
        assert str(first.pid) in second.log or "`mida doctor` says which" in second.log, second.tail()
        offline(second, f"a collector (process {first.pid}) runs with this state directory", "MIDA_DATA", code=0)


def test_busy_port(tmp_path):
    """Another program has the port: who, and which key changes it."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        second = Collector(tmp_path, [LAPTOP, observing()], env={"MIDA_QUERY_ENDPOINT": f"127.0.0.1:{port}"}).spawn()
        assert second.wait(30) != 0
        assert "extensions::taskquery::endpoint to a free port" in second.log
        offline(
            second, f"it is in use by process {os.getpid()}", "extensions::taskquery::endpoint (MIDA_QUERY_ENDPOINT)"
        )


def test_link_that_is_missing(tmp_path):
    """Why one task does not come from another: the same name in two directories."""
    made = [{"name": "saved", "match": "saved {path:path}", "whole_task": "make", "task": "m", "generated": ["path"]}]
    used = [{"name": "read", "match": "read {path:path}", "whole_task": "use", "task": "u", "used": ["path"]}]
    log(tmp_path / "one" / "a.log", "saved out/x.npz", "end")
    log(tmp_path / "two" / "b.log", "read out/x.npz", "end")
    overlay = observing(tasklog={"include": ["one/*.log"], "rules": made})
    overlay["receivers"]["tasklog/two"] = {**overlay["receivers"]["tasklog"], "include": ["two/*.log"], "rules": used}
    overlay["service"]["pipelines"]["logs"]["receivers"] = ["tasklog", "tasklog/two"]
    with Collector(tmp_path, [LAPTOP, overlay]) as running:
        until(lambda: len(running.client().query(projection=["task_id"])) == 2, 60, "both tasks")
        text = says(running, "use/u", "the same name in two directories", arguments=("--link", "make/m", "use/u"))
        assert f"{tmp_path}/one/out/x.npz" in text and f"{tmp_path}/two/out/x.npz" in text and "base_dir" in text
