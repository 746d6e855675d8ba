"""Whether what a view shows, and what its completeness says, is what happened."""

from __future__ import annotations

import dataclasses
import time

from .called import CAMPAIGN, Called, Comparison, compare, pid_of, read_called, read_rows, recorded
from .dask_job import Job
from .poll import until
from .systems import System

# A record waits for the next flush, 100 ms at most; before that its call must come through the worker's event loop, and
# the flushing thread must get the processor, both on a loaded machine.
HELD_SECONDS = 1.0


@dataclasses.dataclass
class Verdict:
    """The outcome of one cell."""

    called: Called
    comparison: Comparison
    completeness: dict
    seconds: float  # until the view had all that it ever got
    problems: list[str]
    oldest_lost: float | None  # seconds before the kill at which the oldest missing call had ended

    def cells(self) -> list[str]:
        """Return calls, missing, doubled, completeness, time and result, for the report."""
        executions = sum(map(len, self.called.calls.values()))
        calls = f"{len(self.called.calls)}" + (
            f" ({executions} executions)" if executions > len(self.called.calls) else ""
        )
        if self.comparison.cancelled:
            calls += f", {self.comparison.cancelled} given up by Dask"
        missing = f"{len(self.comparison.missing)}"
        if self.oldest_lost is not None:
            missing += f" (oldest {self.oldest_lost * 1000:.0f} ms before the kill)"
        result = "view = ground truth"
        if self.comparison.missing:
            result = f"not all, and called {self.completeness['state']}: records that killed processes held in memory"
            if self.oldest_lost is None:
                result = f"not all, and called {self.completeness['state']}, with the ranges"
        if self.problems:
            result = f"**FAILED**: {len(self.problems)} problems: {'; '.join(self.problems[:3])[:600]}"
        return [calls, missing, f"{self.comparison.doubled}", self.words(), f"{self.seconds:.0f} s", result]

    def words(self) -> str:
        """Return what completeness says, in short."""
        observers = self.completeness["observers"]
        states = [f"{sum(o['state'] == s for o in observers)} {s}" for s in ("complete", "unknown", "missing")]
        parts = [f"{self.completeness['state']}: of {len(observers)} observers {', '.join(states)}"]
        for o in observers:
            if o["state"] == "missing":
                reasons = sorted({r[2] for r in o.get("dropped_ranges", [])})
                parts.append(
                    f"{o['observer'].split('.')[0]} on {o['host']}: {o['dropped']} dropped in "
                    f"{len(o.get('dropped_ranges', []))} ranges ({', '.join(reasons)}), {o['missing']} did not arrive"
                )
        parts += [
            f"{w['what']}: {w['found']} of {w['expected']}"
            for w in self.completeness["witnesses"]
            if w["state"] != "complete"
        ]
        return "; ".join(parts)


def judge(system: System, since: float, timeout: float) -> Verdict:
    """Wait until the view holds all that was called, or until it is known what is missing, and judge.

    Parameters
    ----------
    since : float
        When all was over (monotonic).
    """
    client, job = system.view.client(), system.job
    called = read_called(job.notes)
    last = [0, time.monotonic()]

    def done() -> bool:
        n = recorded(client)
        if n != last[0]:
            last[:] = [n, time.monotonic()]
        settled = _settled(client.completeness(CAMPAIGN), job)
        if n >= len(called.calls) and settled:
            return True
        # Something may be missing for good: then nothing comes any more.
        return time.monotonic() - last[1] > (60 if settled else 300)

    until(done, timeout, "the view holds what happened", interval=2)
    verdict = _judged(called, job, compare(called, read_rows(client), _whole(called, job)), client)
    verdict.seconds = max(0.0, last[1] - since)
    return verdict


def _settled(answer: dict, job: Job) -> bool:
    return all(o["state"] != "unknown" or pid_of(o["observer"]) in job.killed for o in answer["observers"])


def _whole(called: Called, job: Job) -> set[str]:
    """Return the sessions whose scheduler was not killed, so that it could tell what it knew."""
    return set(called.schedulers) if job.scheduler_pids.isdisjoint(job.killed) else set()


def _judged(called: Called, job: Job, comparison: Comparison, client) -> Verdict:
    answer = client.completeness(CAMPAIGN)
    problems = [f"{comparison.doubled} tasks show twice"] if comparison.doubled else []
    problems += comparison.wrong[:20]
    lost_by_kill, unexplained = [], 0
    for lines in comparison.missing.values():
        if any(line["pid"] not in job.killed for line in lines):
            unexplained += 1
        else:
            lost_by_kill.append(max(job.killed[line["pid"]] - line["at"] for line in lines))
    stated = sum(
        w["expected"] - w["found"] for w in answer["witnesses"] if w["state"] == "missing" and "saw finish" in w["what"]
    )
    if unexplained and unexplained > stated:
        problems.append(f"{unexplained} calls of processes that nobody killed are missing, {stated} are stated")
    if lost_by_kill and max(lost_by_kill) > HELD_SECONDS:
        problems.append(f"a call that ended {max(lost_by_kill):.2f} s before its process was killed is missing")
    if comparison.missing and answer["state"] == "complete":
        problems.append(f"{len(comparison.missing)} calls are missing, and the campaign is called complete")
    observed = {pid_of(o["observer"]) for o in answer["observers"]}
    silent = {line["pid"] for lines in called.calls.values() for line in lines} - observed
    if silent:
        problems.append(f"no observer of worker processes {sorted(silent)} is known")
    for o in answer["observers"]:
        pid = pid_of(o["observer"])
        killed = pid in job.killed
        if killed and pid not in job.warned and o["state"] == "complete":
            problems.append(f"{o['observer']} was killed and is called complete")
        if not killed and o["state"] == "unknown":
            problems.append(f"{o['observer']} ended well and is called unknown")
        if o["state"] == "missing" and not (o["dropped"] or o["missing"]):
            problems.append(f"{o['observer']} is called missing without a range")
    if not comparison.missing and not job.killed and answer["state"] != "complete":
        problems.append(f"nothing is missing, and the campaign is called {answer['state']}")
    return Verdict(called, comparison, answer, 0.0, problems, max(lost_by_kill, default=None))
