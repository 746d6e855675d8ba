"""The two questions of the paper, on a campaign in which trainings really run out of memory, in several ways."""

from __future__ import annotations

import dataclasses
import sys

import pandas
import pytest

import mida
from support import overflow
from support.campaign import Running, script_environment
from support.collector import EXAMPLE, Collector
from support.compare import identify
from support.memory_group import inside, memory_group
from support.notebooks import execute, html_of, page_of, pictures_of, text_of
from support.observed import demo_collector, readable, snapshot, unfinished
from support.observed import differences as observed_differences
from support.poll import until_none
from support.truth import Truth, read_truth

TRAININGS = {"activity_id": "train"}


@dataclasses.dataclass
class Survey:
    """The campaign, observed."""

    collector: Collector
    truth: Truth
    left: list
    ids: dict[tuple, str]
    kernel: bool  # whether the kernel could be made to kill

    @property
    def overflows(self) -> list[overflow.Overflow]:
        """Return the trainings that ran out of memory, as the scripts know them."""
        return overflow.overflows(self.truth)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("survey")
    environment = script_environment(workdir / "mida-data" / "journal", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    with demo_collector(workdir) as collector:
        with Running(
            [EXAMPLE / "run_survey.sh", workdir, sys.executable], workdir, environment, workdir / "survey.log"
        ) as script:
            script.finish(300)
        with memory_group("700M") as group:
            if group is not None:  # as in a batch job: Dask has no limit, the job has
                off = {f"DASK_DISTRIBUTED__WORKER__MEMORY__{what}": "false" for what in ("TERMINATE", "PAUSE")}
                search = [*inside(group), sys.executable, EXAMPLE / "wide_search.py", "--round", 2]
                with Running(search, workdir, environment | off, workdir / "survey.log") as script:
                    script.finish(300)
        truth = read_truth(workdir)
        left = until_none(lambda: differences(collector, truth), 60)
        pairs, _ = identify(truth, snapshot(collector))
        ids = {name: task["id"] for name, task in pairs.items()}
        yield Survey(collector, truth, left, ids, group is not None)


def differences(collector: Collector, truth: Truth) -> list[str]:
    """Compare the view with the lab books; a worker that was killed cannot say that it ended."""
    found, ran_out = observed_differences(collector, truth, "microscopy"), overflow.overflows(truth)
    killed = [f".{o.pid}." for o in ran_out if o.how != overflow.REFUSED]
    found += [line for line in unfinished(collector) if not any(pid in line for pid in killed)]
    known = collector.client().query(["task_id"], filter=mida.OUT_OF_MEMORY)
    if {row["task_id"] for row in known} != {o.call.record["key"] for o in ran_out}:
        found.append(f"{len(ran_out)} trainings ran out of memory, {len(known)} are known to")
    return found


def test_view_equals_ground_truth(survey):
    """Every call and image, with values and types; every link; nothing else."""
    assert not survey.left, readable(survey.left)


def test_trainings_did_run_out_of_memory(survey):
    """The campaign is what it is meant to be: in several ways, with data of different settings of the instrument."""
    ways = [o.how for o in survey.overflows]
    assert ways.count(overflow.REFUSED) >= 3 and ways.count(overflow.NANNY) >= 2
    assert ways.count(overflow.KERNEL) == survey.kernel
    pixels = {
        image.record["parameters"]["pixel_size_nm"]
        for o in survey.overflows
        for image in overflow.data_of(survey.truth, o.call).images
    }
    assert len(pixels) >= 2
    assert len(overflow.trainings(survey.truth, "finished")) >= 12


def test_the_view_says_which_and_why(survey):
    """Each has the cause, with the evidence of whoever saw it; nothing else has."""
    client = survey.collector.client()
    want = {survey.ids[o.call.name]: o for o in survey.overflows}
    rows = {row["id"]: row for row in client.query(filter=mida.OUT_OF_MEMORY)}
    assert rows.keys() == want.keys()
    for id, row in rows.items():
        how = want[id].how
        assert row["status"] == "FAILED" and row["used"]["units"] == want[id].call.record["arguments"]["units"], row
        assert row["error"]["type"] == ("out_of_memory" if how == overflow.REFUSED else "oom_killed"), row["error"]
        if how == overflow.REFUSED:
            assert row["error"]["message"] == want[id].call.record["message"]
            assert "evidence" not in row["error"], "the task said so itself"
            continue
        begin = "Dask's nanny ended the worker tcp://" if how == overflow.NANNY else "kills of the kernel for want"
        assert row["error"]["evidence"].startswith(begin), row["error"]
        assert row["attributes"]["exception.type"].endswith("KilledWorker")
        if how == overflow.NANNY:
            assert row["attributes"]["dask.worker.memory.limit"] == 640 << 20


def test_the_whole_training_process_of_the_ten_best(survey):
    """Question 1: parameters, architecture, data sets and transformations of the 10 models with the lowest loss."""
    finished = overflow.trainings(survey.truth, "finished")
    want = sorted(finished, key=lambda c: (c.record["result"]["loss"], survey.ids[c.name]))[:10]
    found = survey.collector.client().report("generated.loss", k=10, filter=TRAININGS)
    assert found["total"] == len(finished) and not found["warnings"] and len(found["results"]) == 10
    for call, result in zip(want, found["results"], strict=True):
        wrong = overflow.compare_training(survey.truth, survey.ids, call, result)
        assert not wrong, readable(wrong)


def as_rows(frame: pandas.DataFrame) -> dict[tuple, dict]:
    """Return (task, raw file) → the columns that its row has."""
    rows = {}
    for row in frame.to_dict("records"):
        name = (row["task_id"], row["raw"])
        assert name not in rows, f"{name} twice"
        rows[name] = {k: v for k, v in row.items() if isinstance(v, list) or not pandas.isna(v)}
    return rows


NOT_NOTED = ("id", "task_id", "activity_id", "status", "error.type", "error.message", "raw", "raw.id", "raw.task_id")
CONTEXT = ("raw.used.round", "raw.used.seed")
BESIDE = "used.dataset."  # what was said to the training beside its data set: the data set's metadata once more


def compare_origins(want: dict[tuple, dict], got: dict[tuple, dict]) -> list[str]:
    """Compare rows, column by column: nothing missing, nothing extra."""
    wrong = [f"only in one of both: {name}" for name in want.keys() ^ got.keys()]
    for name in want.keys() & got.keys():
        left = {
            k: v for k, v in got[name].items() if k not in (*NOT_NOTED, *CONTEXT, "group") and not k.startswith(BESIDE)
        }
        wrong += [
            f"{name}: {k}: want {want[name].get(k)!r}, got {left.get(k)!r}"
            for k in want[name].keys() | left.keys()
            if want[name].get(k) != left.get(k)
        ]
    return wrong


def test_raw_data_behind_memory_overflows(survey):
    """Question 2: data sets with metadata, and the instrument's parameters, of the trainings that ran out of memory."""
    want = overflow.expected_origins(survey.truth, [o.call for o in survey.overflows])
    got = as_rows(survey.collector.client().origins(mida.OUT_OF_MEMORY, campaign="microscopy"))
    assert not compare_origins(want, got), readable(compare_origins(want, got))


def test_what_tells_overflows_from_what_fitted(survey):
    """The counterpart: the coefficients are pandas' on the lab book, and name what mattered."""
    truth, finished = survey.truth, overflow.trainings(survey.truth, "finished")
    calls = [o.call for o in survey.overflows]
    found = survey.collector.client().origins(mida.OUT_OF_MEMORY, {**TRAININGS, "status": "FINISHED"})
    want = overflow.expected_origins(truth, calls + finished)
    assert not compare_origins(want, as_rows(found)), readable(compare_origins(want, as_rows(found)))
    book = pandas.DataFrame([{"task": name[0], **row} for name, row in want.items()])
    columns = ["used.units", "used.layers", "dataset.patches", "raw.used.parameters.pixel_size_nm"]
    tasks = book.groupby("task")[columns].mean()
    overflowed = {c.record["key"] for c in calls}
    group = pandas.Series([float(key in overflowed) for key in tasks.index], tasks.index).rank()
    for column in tasks:
        assert found.contrast.loc[column, "value"] == pytest.approx(tasks[column].rank().corr(group), abs=1e-9), column
        assert found.contrast.loc[column, "filter.tasks"] == len(calls)
    assert found.contrast.loc["used.units", "q"] < 0.05
    assert found.contrast.loc["used.optimizer", "q"] < 0.05
    assert found.contrast.loc["used.optimizer", "filter.values"] == ["gauss_newton"]


def test_notebook(survey):
    """The notebook runs in the campaign's directory without a change, and answers what the lab books say."""
    cells = [c for c in execute("questions.ipynb", survey.collector.workdir).cells if c.cell_type == "code"]
    shown = {cell.source.partition("\n")[0].partition(" = ")[0]: cell for cell in cells}
    finished = overflow.trainings(survey.truth, "finished")
    best = sorted(finished, key=lambda c: c.record["result"]["loss"])[:10]
    models = html_of(shown["best"])
    for call in best:
        assert f"{call.record['result']['loss']:.6f}" in models, models
    page = page_of(next(cell for cell in cells if cell.source.startswith("mida.report(")))
    assert all(f'<a href="#r{rank}">' in page for rank in range(1, 11)) and "<script" not in page
    rows = html_of(shown["overflows"])
    known = text_of(next(cell for cell in cells if "known_by" in cell.source))
    for o in survey.overflows:
        data = overflow.data_of(survey.truth, o.call)
        assert o.call.record["key"] in known
        assert data.made_by.record["arguments"]["dataset_path"] in rows
        for image in data.images:
            assert image.record["path"] in rows and str(image.record["parameters"]["beam_energy_kV"]) in rows
    assert known.count("Dask's nanny ended the worker") == [o.how for o in survey.overflows].count(overflow.NANNY)
    assert "gauss_newton" in html_of(shown["found"])
    assert [picture[:4] for picture in pictures_of(shown["trainings"])] == [b"\x89PNG"]


def test_scripts_know_nothing_of_us(survey):
    """What the campaign runs holds no word of this project."""
    for name in ("survey.py", "wide_search.py", "network.py", "run_survey.sh"):
        text = (EXAMPLE / name).read_text().lower()
        assert not any(word in text for word in ("mida", "otel", "opentelemetry", "preload")), name
