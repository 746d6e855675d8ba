"""`mida run`: an unchanged script, with nothing set by hand and no collector before it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from support.collector import EXAMPLE, binary
from support.observed import differences, readable, unfinished
from support.poll import until
from support.truth import read_truth
from support.up import MIDA, QUIET, Up, kinds, mida_command, no_collector_left, own_environment

LOGGING = """
import sys, time
for n in range(int(sys.argv[1])):
    print(f"image {n} done")
"""
RULES = "rules: [{name: an image, match: 'image {number:int} done', whole_task: image, task: '{number}'}]\n"


def test_campaign_equals_ground_truth(tmp_path):
    """The demo's three scripts: all tasks and links are in the view at the end, Dask and MLflow unasked."""
    for name in ("mida.yaml", "rules.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    said = mida_command(
        "run", "--", str(EXAMPLE / "run_campaign.sh"), str(tmp_path), sys.executable, "1", "1", cwd=tmp_path
    )
    truth = read_truth(tmp_path)
    assert len(truth.calls) == 28 and len(truth.runs) == 5 and len(truth.images) == 12
    assert f"campaign microscopy holds {truth.activities} tasks" in said
    assert "did not bring everything over" not in said
    assert no_collector_left(tmp_path)
    with Up(tmp_path, *QUIET, "--logs", "false") as view:
        # At once: nothing may still be on its way.
        left = differences(view, truth, "microscopy") + unfinished(view)
        assert not left, readable(left)
        assert view.client()._call("GET", "/api/v1/observers")["observers"] == []
    assert not list((tmp_path / "mida-data" / "observers").glob("*"))


def test_demo_equals_ground_truth(tmp_path):
    """Two rounds, each script by itself beside questions: the demo. Observers that come again double nothing."""
    demo = [sys.executable, EXAMPLE / "demo.py", "--collector", binary(), "--workdir", tmp_path / "demo", "--once"]
    done = subprocess.run(
        [str(part) for part in demo], env=own_environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"acquire_image . \d \(log\)", done.stdout), "the lineage leads to the images"
    truth = read_truth(tmp_path / "demo")
    assert (len(truth.calls), len(truth.runs), len(truth.images)) == (43, 10, 18)
    with Up(tmp_path / "demo", *QUIET, "--logs", "false") as view:
        left = differences(view, truth, "microscopy") + unfinished(view)
        assert not left, readable(left)
        counted = view.client().completeness("microscopy")["witnesses"]
        assert counted and {w["state"] for w in counted} == {"complete"}, counted
        for task in view.client().query(filter={"kind": {"$in": ["dask", "mlflow"]}}):
            covers = task.get("telemetry_coverage", {})
            assert covers and (task["kind"] == "mlflow" or task["telemetry_delta"]["process.cpu.time"] >= 0), task


def test_uses_the_collector_that_runs(tmp_path):
    """With ``mida up`` beside it, here or above, nothing is started."""
    below = tmp_path / "below"
    below.mkdir()
    (below / "rules.yaml").write_text(RULES)
    with Up(tmp_path, *QUIET) as up:
        script = [sys.executable, "-c", LOGGING, "7"]
        said = mida_command("run", "--campaign", "c", "--output", "out/a.log", "--", *script, cwd=below)
        assert "image 6 done" in said and "campaign c holds 7 tasks (7 log)" in said
        again = ["--campaign", "d", "--state-directory", "../mida-data", "--output", "b.log"]
        assert "campaign d holds 7 tasks (7 log)" in mida_command("run", *again, "--", *script, cwd=below)
        rows = up.client().query(["task_id", "status"], filter={"campaign_id": "c"})
        assert {(r["task_id"], r["status"]) for r in rows} == {(f"image/{n}", "FINISHED") for n in range(7)}
        assert not (tmp_path / "mida-data" / "collector.log").exists() and not (below / "mida-data").exists()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 128 + 9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + 15),
        ("1 / 0", 1),
    ],
)
def test_exit_code(tmp_path, script, code):
    """The exit code is the script's, and what it did before is in the view."""
    (tmp_path / "rules.yaml").write_text(RULES)
    script = f"print('image 1 done', flush=True); {script}"
    mida_command(
        "run", "--campaign", "c", "--output", "a.log", "--", sys.executable, "-c", script, cwd=tmp_path, code=code
    )
    assert kinds(tmp_path, "c") == {"log": 1}


def test_no_such_program(tmp_path):
    assert "there is no such program" in mida_command("run", "--", "./nothing", cwd=tmp_path, code=127)
    (tmp_path / "text").touch()
    assert "Permission denied" in mida_command("run", "--", "./text", cwd=tmp_path, code=126)
    assert "no command" in mida_command("run", "--campaign", "c", cwd=tmp_path, code=2)
    assert no_collector_left(tmp_path)


WAITING = """
import signal, sys, time
def ended(number, frame):
    print("image 2 done", flush=True)
    sys.exit(5)
signal.signal(getattr(signal, sys.argv[1]), ended)
print("image 1 done", flush=True)
while True:
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_reach_the_script(tmp_path, name):
    """The script decides what a signal means; what it did in its handler is in the view."""
    (tmp_path / "rules.yaml").write_text(RULES)
    command = [*MIDA, "run", "--campaign", "c", "--output", "a.log", "--", sys.executable, "-c", WAITING, name]
    with subprocess.Popen(
        command, cwd=tmp_path, env=own_environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        try:
            assert run.stdout.readline() == "image 1 done\n"
            run.send_signal(getattr(signal, name))
            assert run.wait(120) == 5
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
    assert kinds(tmp_path, "c") == {"log": 2}
    assert no_collector_left(tmp_path)


def test_ctrl_c_of_a_terminal_reaches_the_script_once(tmp_path):
    """In a terminal both get Ctrl-C: the script is not told twice, and a second one meanwhile loses nothing."""
    (tmp_path / "rules.yaml").write_text(RULES)
    script = WAITING.replace('print("image 2 done", flush=True)', "count.append(1)").replace(
        "sys.exit(5)", 'print(f"image {1 + len(count)} done", flush=True); len(count) == 2 and sys.exit(5)'
    )
    script = "count = []\n" + script
    command = [*MIDA, "run", "--campaign", "c", "--output", "a.log", "--", sys.executable, "-c", script, "SIGINT"]
    terminal, inside = os.openpty()
    run = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=own_environment(),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        preexec_fn=lambda: become_foreground(inside),
    )
    os.close(inside)
    said = b""

    def says(what: bytes) -> bool:
        nonlocal said
        said += os.read(terminal, 4096)
        return what in said

    try:
        for n in (1, 2):
            until(lambda n=n: says(b"image %d done" % n), 120, f"image {n}")
            os.write(terminal, b"\x03")  # Ctrl-C
        until(lambda: says(b"image 3 done"), 120, "image 3")
        until(lambda: says(b"mida: campaign c holds 3 tasks"), 120, "the end")
        assert run.wait(120) == 5
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
        os.close(terminal)
    assert b"image 4" not in said
    assert kinds(tmp_path, "c") == {"log": 3}


def become_foreground(terminal: int) -> None:
    """Make this process the one that a terminal's Ctrl-C is for."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_killed_run_leaves_nothing_behind(tmp_path):
    """After a kill -9 of ``mida run`` no collector stays, and the next one reads what was left."""
    (tmp_path / "rules.yaml").write_text(RULES)
    command = [*MIDA, "run", "--campaign", "c", "--output", "a.log", "--", sys.executable, "-c", WAITING, "SIGTERM"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=own_environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout.readline() == "image 1 done\n"
        os.killpg(run.pid, signal.SIGKILL)
    assert no_collector_left(tmp_path)
    with Up(tmp_path, *QUIET) as up:
        until(lambda: len(up.client().query(filter={"campaign_id": "c"})) == 1, 60, "the line of the killed script")


def test_two_at_the_same_time_share_one_collector(tmp_path):
    """The first to end does not take the other's collector away."""
    (tmp_path / "rules.yaml").write_text(RULES)
    command = [
        *MIDA,
        "run",
        "--campaign",
        "long",
        "--output",
        "long.log",
        "--",
        sys.executable,
        "-c",
        WAITING,
        "SIGTERM",
    ]
    with subprocess.Popen(command, cwd=tmp_path, env=own_environment(), stdout=subprocess.PIPE, text=True) as long:
        try:
            assert long.stdout.readline() == "image 1 done\n"
            script = [sys.executable, "-c", LOGGING, "3"]
            said = mida_command("run", "--campaign", "short", "--output", "short.log", "--", *script, cwd=tmp_path)
            assert "campaign short holds 3 tasks" in said
            long.terminate()
            assert long.wait(120) == 5
        finally:
            long.kill()
    assert kinds(tmp_path, "long") == {"log": 2}
    assert no_collector_left(tmp_path)


def test_python_without_the_package(tmp_path):
    """The script's Python is another one, which has no ``mida``: Dask finds the observer all the same."""
    (tmp_path / "rules.yaml").write_text(RULES)
    other = sys._base_executable
    alone = subprocess.run([other, "-c", "import mida"], cwd=tmp_path, capture_output=True, check=False)
    assert alone.returncode == 1, "the base Python should have no mida"
    script = "import mida.dask_preload as p; print('image 1 done' if 'mida-run-' in p.__file__ else p.__file__)"
    mida_command("run", "--campaign", "c", "--output", "a.log", "--", other, "-c", script, cwd=tmp_path)
    assert kinds(tmp_path, "c") == {"log": 1}


def test_stores_that_cannot_be_read_are_said(tmp_path):
    """A tracking server and a directory of files: each is named, with what would do."""
    said = mida_command("run", "--", "true", cwd=tmp_path, MLFLOW_TRACKING_URI="http://localhost:5000")
    assert "MLFLOW_TRACKING_URI: 'http://localhost:5000' is a server" in said and "--mlflow sqlite:///" in said
    said = mida_command("run", "--", "mkdir", "-p", "mlruns/0", cwd=tmp_path)
    assert "MLflow wrote into the directory mlruns, which is not read" in said
    said = mida_command("run", "--logs", "a.log", "--rules", "no.yaml", "--", "true", cwd=tmp_path, code=2)
    assert "no.yaml" in said and "rules_file" in said
