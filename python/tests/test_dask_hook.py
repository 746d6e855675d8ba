"""The hooks' parts by themselves: budgets, clocks, policies, and that no code of a user runs."""

from __future__ import annotations

import asyncio
import collections
import datetime
import itertools
import json
import threading
import types

import dask_tasks as t
import pytest

pytest.importorskip("distributed")

from dask.utils import apply

from mida import described
from mida.call_arguments import REFS, Arguments
from mida.calls import BARE_KEYS, Call, call_names, read_call, spec
from mida.capture import Policy
from mida.dask_events import error_attributes
from mida.dask_graph import LINKS, dependencies
from mida.dask_measure import Meter
from mida.dask_scheduler_events import Known, Telling
from mida.dask_worker import Executing
from mida.observer import Recorder
from mida.values import Limits, Summariser

pytestmark = pytest.mark.dask


def summarise(value, **limits):
    return Summariser(Limits(**limits)).summarise(value)


# ---- values ---------------------------------------------------------------------------------------------------------


def test_the_text_of_an_event_has_a_budget():
    summariser = Summariser(Limits())
    out = summariser.summarise([{"text": "x" * 8000, "raw": b"y" * 8000, "n": i} for i in range(1000)])
    assert summariser.text < 400_000
    assert out[0] == {"text": "x" * 8000, "raw": b"y" * 8000, "n": 0}  # the first ones are all there
    assert out[-1]["n"] == 999 and out[-1]["text"] == {"$cut": {"type": "str", "length": 8000, "head": "x" * 32}}
    out = summarise({"k" * 1000 + str(i): i for i in range(900)})
    assert out["$cut"]["length"] == 900 and 200 < len(out["$cut"]["head"]) < 600


def test_a_bytearray_is_not_copied_whole():
    class Watched(bytearray):
        pass

    out = summarise(bytearray(50_000_000))
    assert (
        out["$cut"]["type"] == "bytearray" and out["$cut"]["length"] == 50_000_000 and len(out["$cut"]["head"]) == 1024
    )
    assert summarise(bytearray(b"abc")) == b"abc"
    assert summarise(Watched(b"abc")) == {"$object": {"type": f"{__name__}.{Watched.__qualname__}"}}


def test_dtypes():
    np = pytest.importorskip("numpy")

    def dtype(value):
        return summarise(value)["$array"]["dtype"]

    assert dtype(np.zeros(3)) == "float64" and dtype(np.zeros(3, "M8[ns]")) == "datetime64[ns]"
    assert dtype(np.zeros(3, [("a", "f8"), ("b", "i4")])) == "[('a', '<f8'), ('b', '<i4')]"
    wide = dtype(np.zeros(3, [(f"f{i}", "f8") for i in range(5000)]))
    assert wide.startswith("5000 fields: f0, f1") and wide.endswith("…") and len(wide) < 300
    deep = np.dtype([("inner", [(f"f{i}", "f8") for i in range(5000)])])
    assert dtype(np.zeros(3, deep)) == "1 fields: inner"


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        raise AssertionError("asked")

    tzname = dst = utcoffset


def test_time_zones_are_not_asked():
    zoneinfo = pytest.importorskip("zoneinfo")
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5)
    assert summarise(moment) == "2026-01-02T03:04:05"
    assert summarise(moment.replace(tzinfo=datetime.timezone.utc)) == "2026-01-02T03:04:05+00:00"
    assert summarise(moment.replace(tzinfo=Zone())) == f"2026-01-02T03:04:05[{__name__}.Zone]"
    assert summarise(datetime.time(3, tzinfo=Zone())) == f"03:00:00[{__name__}.Zone]"
    try:
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        return
    assert summarise(moment.replace(tzinfo=zone)) == "2026-01-02T03:04:05+01:00"


class Meta(type):
    """Runs code where its classes are compared or hashed."""

    def __eq__(cls, other):
        raise AssertionError("compared")

    def __hash__(cls):
        raise AssertionError("hashed")


class Odd(metaclass=Meta):
    def __eq__(self, other):
        raise AssertionError("compared")

    __hash__ = None

    @property
    def __class__(self):
        raise AssertionError("asked")


def watched(value):
    """A summariser that lets out what it would hide: an exception of the value's own code."""
    summariser = Summariser(Limits())
    return summariser._other(value, type(value), "x", 0)


def test_no_code_of_a_user_runs():
    odd = Odd()
    description = {"$object": {"type": f"{__name__}.Odd"}}
    assert watched(odd) == description and Summariser(Limits()).fields(odd) == {"value": description}
    assert summarise([odd, {"a": odd}]) == [description, {"a": description}]
    arguments = Arguments(Summariser(Limits()), lambda key, missing: odd if key == "odd" else missing)
    used = arguments.read(Call(t.add, (odd, (odd, odd)), {}), frozenset(["odd"]))
    assert used == {"a": description, "b": [description, description]}
    for first in (odd, [odd], (odd, [1])):  # as apply(function, (first, second)) would have it
        call = read_call((apply, (t.add, (first, [2])), {}))
        assert call_names(call, "k-1")[0] == "add" and call.args == (first, [2])


# ---- references ----------------------------------------------------------------------------------------------------


def nested(n, m):
    """A call with n lists of m references, and the keys, as this version of Dask writes it."""
    keys = [[f"k{i}-{j}" for j in range(m)] for i in range(n)]
    if BARE_KEYS:
        return Call(t.same, (keys,), {}), keys
    rows = (spec.List(*[spec.TaskRef(k) for k in row]) for row in keys)
    return Call(t.same, (spec.List(*rows),), {}), keys


def read(call, keys, **limits):
    arguments = Arguments(Summariser(Limits(**limits)), lambda key, missing: missing)
    return arguments, arguments.read(call, frozenset(keys))


def test_references_behind_a_cut_are_kept():
    call, keys = nested(80, 100)
    arguments, used = read(call, itertools.chain(*keys))
    assert arguments.summariser.nodes <= 5000 and "$cut" in used["value"]
    assert arguments.refs == {f"value.{i}.{j}": k for i, row in enumerate(keys) for j, k in enumerate(row)}
    assert not arguments.refs_cut
    call, keys = nested(300, 300)
    arguments, used = read(call, itertools.chain(*keys))
    assert len(arguments.refs) == REFS and arguments.refs_cut


def test_references_in_deep_and_mapped_values():
    deep = "k-1" if BARE_KEYS else spec.TaskRef("k-1")
    for _ in range(15):
        deep = [deep] if BARE_KEYS else spec.List(deep)
    arguments, used = read(Call(t.same, (deep,), {}), ["k-1"])
    assert '"depth"' in json.dumps(used) and list(arguments.refs.values()) == ["k-1"]
    keys = {f"n{i}": f"k-{i}" for i in range(1500)}
    mapped = keys if BARE_KEYS else spec.Dict({n: spec.TaskRef(k) for n, k in keys.items()})
    arguments, used = read(Call(t.same, (mapped,), {}), keys.values())
    assert used["value"]["$cut"]["length"] == 1500 and len(used["value"]["$cut"]["head"]) == 1000
    assert arguments.refs == {f"value.{n}": k for n, k in keys.items()}
    many = Call(t.same, (), {n: k if BARE_KEYS else spec.TaskRef(k) for n, k in keys.items()})
    arguments, used = read(many, keys.values())
    assert used["…"]["$cut"]["length"] == 1500 and len(arguments.refs) == 1500


def test_what_is_too_large_to_copy_costs_no_room():
    results = {"big": [["x" * 2000]], "small": [1, 2]}
    arguments = Arguments(Summariser(Limits()), results.get)
    refs = ("big", "small") if BARE_KEYS else (spec.TaskRef("big"), spec.TaskRef("small"))
    assert arguments.read(Call(t.add, refs, {}), frozenset(results)) == {"a": {"$ref": {"key": "big"}}, "b": [1, 2]}
    assert arguments.summariser.nodes < 10 and arguments.summariser.text < 10


def test_messages_say_what_was_cut():
    out = error_attributes("ValueError('" + "x" * 5000 + "')", None)["exception.message"]
    assert out.startswith("xxx") and out.endswith(" [3000 characters cut]") and len(out) < 2100
    assert error_attributes("ValueError('short')", None)["exception.message"] == "short"


# ---- the worker's plugin without a worker --------------------------------------------------------------------------


class Recorded:
    """Takes the place of a recorder, and builds the events at once."""

    def __init__(self):
        self.events, self.errors = [], []
        self._stamp, self._stamping = 0, threading.Lock()

    stamp = Recorder.stamp

    def put(self, make, cost):
        self.events.append(make())

    def failed(self, error, where):
        self.errors.append((where, error))

    def close(self, **options):
        self.closed = True


def task(function=t.inc, *args, key="k-1", **more):
    run_spec = (function, args, {}) if BARE_KEYS else spec.Task(key, function, *args)
    fields = {
        "key": key,
        "run_spec": run_spec,
        "run_id": 7,
        "dependencies": set(),
        "annotations": None,
        "start_time": 100.0,
        "startstops": [],
        "type": int,
        "nbytes": 28,
        "state": "executing",
        "exception_text": "",
        "traceback_text": "",
        "exception": None,
        **more,
    }
    return types.SimpleNamespace(**fields)


def plugin(*tasks, policy=None, results=None):
    observer = Executing({})
    observer._policy = Policy(policy)
    observer._tasks = {one.key: one for one in tasks}
    observer._fast = results or {}
    observer._worker = types.SimpleNamespace(scheduler_delay=0.0, status="closing")
    observer._threads = {}
    observer._summariser = Summariser(Limits())
    observer._arguments = Arguments(observer._summariser, observer._result)
    observer._tick_arguments = Arguments(Summariser(Limits()), observer._result)
    observer._running, observer._announced, observer._cancelled, observer._begun = {}, {}, {}, {}
    observer._recorder = Recorded()
    observer._meter = Meter(observer._worker, observer._recorder.failed)
    return observer, observer._recorder


def test_one_bad_task_does_not_hide_the_others():
    bad, good = task(key="bad"), task(t.inc, 1, key="good")
    observer, recorder = plugin(bad, good)
    bad.run_spec = None  # so that nothing at all can be said of it
    capture = observer._capture
    observer._capture = lambda key, *rest: capture(key, *rest) if key == "good" else 1 / 0
    observer._running.update(bad=1.0, good=1.0)
    assert [make()["key"] for make in observer._tick()] == ["good"]
    assert [where for where, _ in recorder.errors] == ["capture"]
    assert list(observer._tick()) == [] and len(recorder.errors) == 1  # neither is tried again
    observer._running.pop("good")
    observer._tasks["worse"] = None  # cannot even be looked at
    observer._running = {"worse": 1.0, "good": 1.0}
    asyncio.run(observer.teardown(observer._worker))
    assert [e["key"] for e in recorder.events] == ["good"] and recorder.closed
    assert recorder.events[0]["status"] == "CANCELLED"


def test_cancellations_respect_the_policy():
    for policy, said in ((None, 1), ({"drop_activities": ["inc"]}, 0)):
        for end in ("memory", "waiting"):
            one = task(t.inc, 1)
            observer, recorder = plugin(one, policy=policy)
            transition = observer._hook()
            transition("k-1", "ready", "executing")
            transition("k-1", "executing", "released")
            one.run_id = 8
            transition("k-1", "cancelled", end)
            assert len(recorder.events) == said and recorder.errors == []
            assert all(e["used"] == {"x": 1} and e["attempt"] == 7 for e in recorder.events)
    internal = task(tuple, [1])
    observer, recorder = plugin(internal)
    transition = observer._hook()
    transition("k-1", "ready", "executing")
    transition("k-1", "executing", "released")
    transition("k-1", "cancelled", "released")
    assert recorder.events == [] and recorder.errors == []


def test_a_capture_that_fails_respects_the_policy():
    for policy, said in ((None, ["inc"]), ({"drop_activities": ["inc"]}, [])):
        observer, recorder = plugin(task(t.inc, 1), policy=policy)
        observer._arguments.read = lambda *rest: 1 / 0
        observer._end("k-1", "FINISHED")
        assert [e["activity"] for e in recorder.events] == said
        assert len(recorder.errors) == len(said)


def test_fused_names_that_are_cut_say_so(monkeypatch):
    observer, recorder = plugin(task(t.inc, 1), results={"k-1": 2})
    inner = [Call(t.inc, (i,), {}) for i in range(150)]
    monkeypatch.setattr("mida.dask_worker.read_call", lambda run_spec: Call(t.inc, (), {}, inner))
    observer._end("k-1", "FINISHED")
    cut = recorder.events[0]["custom"]["fused"]["$cut"]
    assert cut["length"] == 150 and len(cut["head"]) == 100
    assert len(recorder.events[0]["used"]) == 150 and "inc_150" in recorder.events[0]["used"]


def test_a_clock_that_is_set_back_on_a_worker(monkeypatch):
    one = task(t.inc, 1, start_time=1000.0)
    observer, recorder = plugin(one, results={"k-1": 2})
    observer._running["k-1"] = 1000.0
    monkeypatch.setattr("mida.dask_worker.time.time", lambda: 2000.0)
    (running,) = [make() for make in observer._tick()]
    monkeypatch.setattr("mida.dask_worker.time.time", lambda: 900.0)
    one.startstops = [{"action": "compute", "start": 1000.1, "stop": 1000.2}]
    observer._end("k-1", "FINISHED")
    observer._emit("k-1", 7, "CANCELLED", 900.0, {"start": 1000.0}, None)
    assert running["status"] == "RUNNING"
    for event in recorder.events:
        assert event["time"] >= running["time"] and event["ended_at"] >= event["started_at"]


# ---- the scheduler's plugin without a scheduler --------------------------------------------------------------------


def test_the_last_fate_wins_when_the_clock_is_set_back(monkeypatch):
    recorder = Recorded()
    scheduler = types.SimpleNamespace(client_comms={})
    tell = Telling(scheduler, recorder, Policy(), "name")
    times = iter([1000, 2000, 500])
    monkeypatch.setattr("mida.observer.time.time_ns", lambda: next(times))
    tell.begin("Client-1")
    known = Known(tell.now(), "Client-1")
    one = task(t.inc, 1, state="waiting")
    tell.task(one, known, known.at, "SUBMITTED")
    tell.task(one, known, tell.now(), "CANCELLED", {"reason": "x"}, ended=True)
    tasks = [e for e in recorder.events if "status" in e]
    assert max(tasks, key=lambda e: e["time"])["status"] == "CANCELLED"
    assert tasks[1]["ended_at"] > tasks[1]["submitted_at"]


Node = collections.namedtuple("Node", "key run_spec dependencies")


def test_dependencies_through_internal_steps():
    def leaf(i):
        return Node(f"t{i}", task(t.inc, i).run_spec, [])

    def step(key, needs):
        return Node(key, task(tuple, [1]).run_spec, needs)

    leaves = [leaf(i) for i in range(3 * LINKS)]
    few, wide = step("few", leaves[:5]), step("wide", leaves)
    outer = step("outer", [few, step("alias", [leaves[7]]), Node("scattered", None, [])])
    needs, steps = dependencies(Node("x", None, [outer, leaves[0]]), {})
    assert sorted(needs) == ["t0", "t1", "t2", "t3", "t4", "t7"] and steps == []
    needs, steps = dependencies(Node("x", None, [wide, few, leaves[0]]), {})
    assert sorted(needs) == ["t0", "t1", "t2", "t3", "t4", "wide"] and steps == [wide]
    halves = step("halves", [step("a", leaves[:80]), step("b", leaves[80:160])])
    assert dependencies(Node("x", None, [halves]), {}) == (["halves"], [halves])
    assert len(dependencies(halves, {})[0]) == 160
    above = step("above", [wide])
    assert dependencies(Node("x", None, [above]), {}) == (["above"], [above])
    assert dependencies(above, {}) == (["wide"], [wide])


def test_too_many_dependencies_say_so(monkeypatch):
    monkeypatch.setattr("mida.dask_scheduler_events.DEPENDENCIES", 10)
    recorder = Recorded()
    tell = Telling(types.SimpleNamespace(client_comms={}), recorder, Policy(), "name")
    tell.begin("Client-1")
    needs = [Node(f"t{i}", task(t.inc, i).run_spec, []) for i in range(12)]
    tell.task(task(t.inc, 1, dependencies=needs), Known(1, "Client-1"), 1, "SUBMITTED")
    event = recorder.events[-1]
    assert len(event["dependencies"]) == 10 and event["custom"]["dependencies"] == {
        "$cut": {"type": "list", "length": 12}
    }


def test_attributes_are_dropped_too():
    recorder = Recorded()
    tell = Telling(
        types.SimpleNamespace(client_comms={}), recorder, Policy({"drop_fields": ["attributes.code.*"]}), "n"
    )
    tell.begin("Client-1")
    tell.task(task(t.inc, 1), Known(1, "Client-1"), 1, "SUBMITTED")
    assert recorder.events[-1]["attributes"] == {}


def test_a_workflow_is_named_while_its_script_runs(monkeypatch):
    asked = []
    monkeypatch.setattr("mida.dask_client.client_script", lambda client, comm: asked.append(client) or "script")
    recorder = Recorded()
    tell = Telling(types.SimpleNamespace(client_comms={}), recorder, Policy(), None)
    tell.begin("Client-1")
    assert asked == ["Client-1"] and recorder.events[0]["workflow_name"] == "script"
    tell.end("Client-1")
    assert asked == ["Client-1"]


def test_columns_are_named_without_asking_them():
    name = described._column((1, "a", Odd()))
    assert name == f"(1, a, {__name__}.Odd)"
