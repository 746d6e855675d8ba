"""What depends on what in a scheduler's graph, without the internal steps of Dask."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .calls import computes

__all__ = ["DEPENDENCIES", "LINKS", "dependencies"]

LINKS = 100  # tasks that an internal step may stand for
DEPENDENCIES = 10_000  # of one task that are written

Steps = Dict[Any, Optional[List[Any]]]


def dependencies(task: Any, steps: Steps) -> Tuple[List[Any], List[Any]]:
    """Return the keys of the tasks it needs, and the wide steps among them.

    Aliases, containers and other internal steps are looked through. But a list
    of N tasks that N others use would so become N² dependencies: a step that
    stands for more than LINKS tasks is therefore *wide*. It is named itself,
    and the scheduler's observer tells of it as of a task, with dependencies of
    its own. Lineage goes on through it, and every edge is written once.

    Parameters
    ----------
    task : TaskState
        The task, as the scheduler knows it.
    steps : dict
        What was found out about internal steps; for as long as the graph does
        not change.
    """
    needs: Dict[Any, None] = {}
    wide = []
    for one in task.dependencies:
        if one.run_spec is None:  # scattered data comes from no task
            continue
        if computes(one.run_spec):
            needs[one.key] = None
            continue
        if one.key not in steps:
            steps[one.key] = _behind(one)
        behind = steps[one.key]
        if behind is None:
            needs[one.key] = None
            wide.append(one)
        else:
            needs.update(dict.fromkeys(behind))
    return list(needs), wide


def _behind(step: Any) -> Optional[List[Any]]:
    """Return the keys of the tasks that an internal step stands for; None if it is wide."""
    found: Dict[Any, None] = {}
    seen = {step.key}
    stack = [step]
    while stack:
        one = stack.pop()
        if len(one.dependencies) > LINKS:
            return None
        for need in one.dependencies:
            if need.run_spec is None or need.key in seen:
                continue
            if computes(need.run_spec):
                found[need.key] = None
            else:
                seen.add(need.key)
                stack.append(need)
        if len(found) > LINKS or len(seen) > LINKS:
            return None
    return list(found)
