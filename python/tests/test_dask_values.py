"""What a Dask task used and generated, as the journal says."""

from __future__ import annotations

import os

import dask_tasks as t
import pytest
from dask_support import observed

pytestmark = pytest.mark.dask


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with observed(tmp_path_factory.mktemp("journal")) as o:
        yield o


def submit(cluster, function, *args, **kwargs):
    future = cluster.client.submit(function, *args, pure=False, **kwargs)
    future.result()
    return future, cluster.snapshot(future.key, "FINISHED")


def test_a_plain_task(cluster):
    future, event = submit(cluster, t.inc, 1, k=2)
    assert event["used"] == {"x": 1, "k": 2}
    assert event["generated"] == {"value": 3}
    assert event["activity"] == "inc"
    assert event["kind"] == "dask" and event["scope"] == event["execution"] == cluster.cluster.scheduler.id
    assert event["started_at"] <= event["ended_at"]
    attributes = event["attributes"]
    assert attributes["code.function.name"] == "dask_tasks.inc"
    assert attributes["process.pid"] != os.getpid()
    assert attributes["thread.id"] and attributes["user.name"] and attributes["dask.worker.address"]
    assert event["resource"]["host.name"] and event["resource"]["service.name"] == "dask-worker"
    submitted = cluster.snapshot(future.key, "SUBMITTED", "scheduler")
    assert submitted["submitted_at"] <= event["started_at"]
    assert submitted["workflow_id"] == cluster.client.id
    assert submitted["workflow_name"]
    assert "attempt" not in submitted


def test_arguments_that_are_results(cluster):
    a, _ = submit(cluster, t.inc, 1)
    b, _ = submit(cluster, t.numbers, 2000)
    _, event = submit(cluster, t.add, a, 5)
    assert event["used"] == {"a": 2, "b": 5} and event["refs"] == {"a": a.key}
    future, event = submit(cluster, t.total, b, scale=3)
    assert event["used"] == {"values": {"$ref": {"key": b.key}}, "scale": 3}
    assert event["refs"] == {"values": b.key}
    assert cluster.snapshot(future.key, "SUBMITTED", "scheduler")["dependencies"] == [b.key]
    _, event = submit(cluster, t.total, [a, 4, a], a, 7, scale=2, extra=a)
    assert event["used"] == {"values": [2, 4, 2], "args": [2, 7], "scale": 2, "extra": 2}
    assert event["refs"] == {"values.0": a.key, "values.2": a.key, "args.0": a.key, "extra": a.key}
    _, event = submit(cluster, t.same, {"left": [a], "right": {"deep": b}})
    assert event["used"] == {"value": {"left": [2], "right": {"deep": {"$ref": {"key": b.key}}}}}
    assert event["refs"] == {"value.left.0": a.key, "value.right.deep": b.key}


def test_shapes_of_results(cluster):
    _, event = submit(cluster, t.train, t.Config(4, "a", [0.1, 0.2]))
    assert event["used"] == {"cfg": {"layers": 4, "name": "a", "rates": [0.1, 0.2]}}
    assert event["generated"] == {"loss": 0.25, "accuracy": 0.5, "model_path": "/tmp/mida-none/a.pkl"}
    assert set(event["paths"]) == {"/tmp/mida-none/a.pkl"}
    assert submit(cluster, t.point, 1)[1]["generated"] == {"x": 1, "y": 2}
    assert submit(cluster, t.nothing)[1]["generated"] == {"value": None}
    assert submit(cluster, t.numbers, 3)[1]["generated"] == {"items": [0, 1, 2]}
    assert submit(cluster, t.same, 1.5)[1]["generated"] == {"value": 1.5}


def test_names_of_functions(cluster):
    import functools

    _, event = submit(cluster, functools.partial(t.inc, k=5), 1)
    assert event["activity"] == "inc" and event["used"] == {"x": 1, "k": 5}
    _, event = submit(cluster, lambda x: x, 1)
    assert event["activity"] == "lambda" and event["used"] == {"x": 1}
    _, event = submit(cluster, t.Model(3).score, 2)
    assert event["activity"] == "Model.score" and event["used"] == {"x": 2} and event["generated"] == {"value": 6}
    _, event = submit(cluster, sum, [1, 2])
    assert event["activity"] == "sum" and event["used"] == {"args": [[1, 2]]}


def test_odd_values(cluster):
    event = submit(cluster, t.odd_values)[1]
    generated = event["generated"]
    assert generated["nan"] != generated["nan"] and generated["inf"] == float("inf")
    assert generated["huge"] == {"$int": str(2**70)}
    assert generated["bytes"] == b"\x00\xff"
    assert generated["1"] == "one" and generated["[1,2]"] == "pair"
    assert generated["surrogate"] == "a\ufffdb"
    assert generated["colour"] == "RED" and generated["set"] == [3]
    assert generated["marker"] == {"$map": {"$int": "5"}}
    assert "$cut" in repr(generated["deep"])


def test_big_and_cyclic_values(cluster):
    event = submit(cluster, t.big_text, 100_000_000)[1]
    assert event["generated"]["value"]["$cut"]["length"] == 100_000_000
    event = submit(cluster, t.cyclic)[1]
    assert event["generated"]["items"][0] == 1
    assert event["generated"]["items"][1]["$cut"]["reason"] == "cycle"


@pytest.mark.parametrize("how", ["raise", "block"])
def test_hostile_objects_do_not_matter(cluster, how):
    made = cluster.client.submit(t.make_hostile, how, pure=False)
    future = cluster.client.submit(t.take_hostile, made, 7, pure=False)
    assert future.result(timeout=60) == 7
    event = cluster.snapshot(made.key, "FINISHED")
    assert event["generated"] == {"value": {"$object": {"type": "dask_tasks.Hostile"}}}
    event = cluster.snapshot(future.key, "FINISHED")
    assert event["used"] == {"thing": {"$ref": {"key": made.key}}, "n": 7}
    assert submit(cluster, t.inc, 1)[1]["generated"] == {"value": 2}


def test_arrays_and_tables(cluster):
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    _, event = submit(cluster, t.same, np.zeros((3, 4)))
    array = {"$array": {"type": "numpy.ndarray", "shape": [3, 4], "dtype": "float64", "nbytes": 96}}
    assert event["used"] == {"value": array} and event["generated"] == {"value": array}
    assert submit(cluster, t.same, np.float32(0.5))[1]["generated"] == {"value": 0.5}
    assert submit(cluster, t.same, np.int64(7))[1]["generated"] == {"value": 7}
    _, event = submit(cluster, t.same, pd.DataFrame({"a": [1, 2], "b": [3, 4]}))
    assert event["generated"]["value"]["$array"]["columns"] == ["a", "b"]
    assert event["generated"]["value"]["$array"]["shape"] == [2, 2]


def test_delayed_graphs(cluster):
    import dask

    inc, add = dask.delayed(t.inc), dask.delayed(t.add)
    graph = add(inc(5, dask_key_name="inc-five"), inc(6, dask_key_name="inc-six"), dask_key_name="add-both")
    assert cluster.client.compute(graph).result() == 13
    event = cluster.snapshot("add-both", "FINISHED")
    assert event["activity"] == "add"
    assert event["used"] == {"a": 6, "b": 7}
    assert event["refs"] == {"a": "inc-five", "b": "inc-six"}
    assert sorted(cluster.snapshot("add-both", "SUBMITTED", "scheduler")["dependencies"]) == ["inc-five", "inc-six"]
    assert cluster.snapshot("inc-five", "FINISHED")["used"] == {"x": 5}


def test_collections(cluster):
    da = pytest.importorskip("dask.array")
    import dask.bag as db

    with cluster.client.as_current():
        assert (da.ones((100, 100), chunks=50) + 1).sum().compute() == 20000.0
        assert db.from_sequence(range(6), npartitions=2).map(t.inc).sum().compute() == 21
    events = cluster.until(lambda es: [e for e in es if "sum" in str(e.get("activity")) and e["facet"] == "worker"])
    keys = {e["key"] for e in cluster.events() if e.get("key")}
    assert any(k.startswith("('") for k in keys)  # tuple keys as distributed writes them
    for event in events:
        assert event["status"] in ("RUNNING", "FINISHED")
    assert not any(k.startswith("finalize-") for k in keys)


def test_dataframes(cluster):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(pd.DataFrame({"a": range(10), "b": range(10)}), npartitions=2)
    with cluster.client.as_current():
        assert frame.groupby("a").b.sum().compute().sum() == 45
    events = cluster.until(
        lambda es: [e for e in es if e.get("status") == "FINISHED" and "$array" in repr(e.get("generated"))]
    )
    assert events


def test_annotations_are_kept(cluster):
    import dask

    with dask.annotate(sample="s1"):
        future = cluster.client.submit(t.inc, 40, pure=False)
    future.result()
    assert cluster.snapshot(future.key, "FINISHED")["custom"]["annotations"]["sample"] == "s1"


def test_a_function_that_is_a_result(cluster):
    """Dask writes it as an application to two arguments, the first of which must not be asked whether it is a list."""
    np = pytest.importorskip("numpy")
    import dask

    called = dask.delayed(t.maker)()(np.ones(1000), 6, dask_key_name="called-1")
    assert cluster.client.compute(called).result() == 6
    event = cluster.snapshot("called-1", "FINISHED")
    assert event["activity"] == "called" and event["used"]["args"][1] == 6
    assert event["used"]["args"][0]["$array"]["shape"] == [1000]
    assert cluster.snapshot("called-1", "SUBMITTED", "scheduler")["activity"] == "called"


def test_two_thousand_references(cluster):
    futures = cluster.client.map(t.inc, range(2000), pure=False)
    future = cluster.client.submit(t.total, futures, pure=False)
    assert future.result() == sum(range(2000)) + 2000
    event = cluster.snapshot(future.key, "FINISHED")
    cut = event["used"]["values"]["$cut"]
    assert cut["type"] == "list" and cut["length"] == 2000 and len(cut["head"]) == 1000
    assert event["refs"] == {f"values.{i}": f.key for i, f in enumerate(futures)}
    submitted = cluster.snapshot(future.key, "SUBMITTED", "scheduler")
    assert sorted(submitted["dependencies"]) == sorted(f.key for f in futures)


def test_a_list_of_many_for_many(cluster):
    n = 150
    parts = cluster.client.map(t.inc, range(n), pure=False)
    whole = cluster.client.submit(list, parts, pure=False)
    consumers = cluster.client.map(t.second, [whole] * n, range(n), pure=False)
    assert cluster.client.gather(consumers) == list(range(n))
    for consumer in consumers:
        assert cluster.snapshot(consumer.key, "SUBMITTED", "scheduler")["dependencies"] == [whole.key]
    step = cluster.snapshot(whole.key, "FINISHED", "scheduler")  # lineage goes on through the list
    assert step["activity"] == "list" and sorted(step["dependencies"]) == sorted(p.key for p in parts)
    few = cluster.client.submit(list, parts[:3], pure=False)
    consumer = cluster.client.submit(t.second, few, 1, pure=False)
    needs = cluster.snapshot(consumer.key, "SUBMITTED", "scheduler")["dependencies"]
    assert sorted(needs) == sorted(p.key for p in parts[:3]) and not cluster.attempts(few.key)


def test_nothing_went_wrong_inside(cluster):
    (scheduler,) = [p for n, p in cluster.cluster.scheduler.plugins.items() if n == "mida-scheduler"]
    assert scheduler._recorder.errors == {}

    def errors(dask_worker):
        return dask_worker.plugins["mida-worker"]._recorder.errors

    assert all(e == {} for e in cluster.client.run(errors).values())
