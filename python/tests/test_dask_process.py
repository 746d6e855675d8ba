"""How the process of a worker ends when a signal ends it."""

import os
import signal
import subprocess
import sys

import dask_tasks as t
import pytest
from dask_support import observed
from journal_reader import final

pytestmark = pytest.mark.dask


def hold_flushes():
    """Stop the recorder's thread of this process in its next flush: whoever dies now loses what came since."""
    import sys
    import time

    for name, module in list(sys.modules.items()):
        if name.endswith(".observer") and "mida" in name:
            for recorder in list(module.Recorder._all):

                def flush(recorder=recorder, original=recorder._flush):
                    while not recorder._closing:
                        time.sleep(0.01)
                    original()

                recorder._flush = flush


def executing(dask_worker):
    """Return the keys of the tasks that run."""
    return [task.key for task in dask_worker.state.executing]


def test_sigterm_loses_nothing(tmp_path):
    """Batch systems send it to the worker itself, which then ends by it, with all that it had seen."""
    go = tmp_path / "go"
    with observed(tmp_path / "journal") as o:
        (pid,) = o.client.run(os.getpid).values()
        o.client.run(hold_flushes)
        futures = o.client.map(t.inc, range(50), pure=False)
        o.client.gather(futures)
        running = o.client.submit(t.until, str(go), 1, pure=False)
        o.until(lambda _: [running.key] in o.client.run(executing).values())
        os.kill(pid, signal.SIGTERM)
        ended = o.until(
            lambda events: [
                e["record"]
                for e in events
                if e["event"] == "mida.observer.checkpoint" and f".{pid}." in e["observer"] and e["record"]["final"]
            ]
        )
        assert "errors" not in ended[-1] and ended[-1]["dropped"] == []
        snapshots = final(o.events())
        kept = {k for (k, a, f), e in snapshots.items() if f == "worker" and e["status"] == "FINISHED"}
        assert {f.key for f in futures} <= kept
        lost = o.snapshot(running.key, "FAILED")
        assert lost["attributes"]["error.type"] == "worker_lost"
        assert lost["custom"]["reason"] == "the worker was ended by SIGTERM while the task ran"
        go.touch()
        assert running.result(timeout=60) == 1
        (after,) = o.client.run(os.getpid).values()
        assert after != pid


def handler():
    """Return what SIGTERM does in this process."""
    import signal

    return repr(signal.getsignal(signal.SIGTERM))


def with_its_own(dask_worker):
    """Return whether a handler that was there before outlives the observer."""
    import signal

    from mida.dask_process import at_sigterm

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    forget = at_sigterm(lambda: None)
    kept = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    forget()
    return kept and signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_handlers_of_sigterm(tmp_path):
    """The observer takes its own away when it leaves, and touches no other."""
    with observed(tmp_path) as o:
        (there,) = o.client.run(handler).values()
        assert "at_sigterm" in there
        o.client.unregister_worker_plugin("mida-worker")
        (left,) = o.client.run(handler).values()
        assert "SIG_DFL" in left
        (kept,) = o.client.run(with_its_own).values()
        assert kept


def test_a_forked_child_ends_at_once():
    """A child of a task, such as a worker of a pool, is ended by SIGTERM as if nobody observed its parent."""
    script = """
import os, signal
from mida.dask_process import at_sigterm
at_sigterm(lambda: print("the last word", flush=True))
child = os.fork()
if child == 0:
    os._exit(0 if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else 1)
assert os.waitpid(child, 0)[1] == 0
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert done.stdout == "the last word\n"
