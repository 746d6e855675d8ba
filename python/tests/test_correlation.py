"""Correlations of a real server against pandas and scipy, on data as awkward as campaigns have it."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys

import numpy
import pandas
import pytest
from query_events import task

import mida
from mida import cli
from mida.client import encode

pytest_plugins = ["query_server"]
try:
    from scipy import stats
except ImportError:  # in the environment of the oldest Dask, where none of this is chosen
    stats = None

METHODS = ("pearson", "spearman")
CLOSE = 1e-9


def awkward(rng, n):
    """Return tasks with ties, constants, NaN, infinities, booleans, categories, null, lists and missing values."""
    for i in range(n):
        used = {
            "layers": rng.randrange(4),
            "rate": 10 ** rng.uniform(-5, 0),
            "flag": rng.random() < 0.4,
            "optimizer": rng.choice(["adam", "sgd", "rmsprop"]),
            "seed": 7,
            "offset": 1.7e9 + rng.random(),
            "huge": 2**70 + i * 2**60,
            "cfg": {"depth": rng.choice([1, 2.5, 4])},
            "path": f"/models/{i}",
            "patience": rng.choice([1, 2, 3, 4, 5, "auto"]),
            "one": "same",
            "shape": [1, 2],
        }
        if rng.random() < 0.3:
            del used["rate"]
        if rng.random() < 0.2:
            used["layers"] = None
        generated = {
            "loss": rng.choice([rng.random(), rng.random(), math.nan]),
            "score": used["cfg"]["depth"] * 3 + rng.gauss(0, 1),
            "rounded": round(rng.gauss(0, 1)),
            "converged": rng.random() < 0.7,
            "ratio": rng.choice([rng.random(), rng.random(), math.inf, -math.inf]),
            "copy": -used["offset"],
        }
        yield {"used": used, "generated": generated, "ended_at": 100_500_000_000 + rng.randrange(10**9)}


X = ["used.layers", "used.rate", "used.flag", "used.seed", "used.offset", "used.huge", "used.cfg.depth"]
Y = [
    "generated.loss",
    "generated.score",
    "generated.rounded",
    "generated.converged",
    "generated.ratio",
    "generated.copy",
]
NUMBERS = [*X, "used.patience"]
CATEGORIES = ["used.optimizer"]


def load(server, campaigns):
    for name, tasks in campaigns.items():
        events = [task(f"{name}-{i}", campaign=name, **more) for i, more in enumerate(tasks)]
        server.load(*(json.loads(encode(event)) for event in events))


def columns(campaign, names):
    """Return the columns as somebody would prepare them for pandas: numbers, NaN where there is none.

    The two whose values are large and close to each other are brought near 0, which is exact: pandas, with one float
    for a mean, has only seven digits of them.
    """
    frame = pandas.DataFrame(mida.query(projection=names, filter={"campaign_id": campaign}), columns=names)

    def number(value):
        if isinstance(value, (bool, int, float)) and abs(value) < math.inf:
            return float(value)
        return math.nan

    numbers = frame.map(number)
    for name, far in (("used.offset", 1.7e9), ("generated.copy", -1.7e9)):
        if name in numbers:
            numbers[name] -= far
    return numbers, frame


def close(got, want, what, least=1e-12):
    if math.isnan(want):
        assert math.isnan(got), what
    else:
        assert got == pytest.approx(want, rel=CLOSE, abs=least), what


def expected(a, b, method):
    """Return coefficient, p and n by pandas and scipy."""
    both = a.notna() & b.notna()
    n = int(both.sum())
    if n < 3 or a[both].nunique() < 2 or b[both].nunique() < 2:
        return math.nan, math.nan, n
    value = a.corr(b, method=method)
    test = stats.pearsonr if method == "pearson" else stats.spearmanr
    return value, test(a[both], b[both]).pvalue, n


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore::scipy.stats.NearConstantInputWarning")
def test_equals_pandas_and_scipy(server, monkeypatch, method):
    monkeypatch.chdir(server.directory)
    campaigns = {f"c{n}-{seed}": list(awkward(random.Random(seed), n)) for seed, n in enumerate((3, 4, 7, 25, 60, 200))}
    load(server, campaigns)
    compared = 0
    for campaign in campaigns:
        got = mida.correlation(campaign=campaign, method=method)
        numbers, _ = columns(campaign, [*NUMBERS, *Y, "elapsed"])
        for x in NUMBERS:
            for y in [*Y, "elapsed"]:
                if x not in got.index or got.fields.loc[("x", x), "kind"] == "category":
                    assert campaign.startswith(("c3-", "c4-")), (campaign, x)  # hardly any tasks, and most say "auto"
                    continue
                what = (campaign, method, x, y)
                value, p, n = expected(numbers[x], numbers[y], method)
                assert got.n.loc[x, y] == n, what
                close(got.loc[x, y], value, what)
                # Near ±1 the last digit of the coefficient decides whether a p-value of few tasks is 0 or 1e-8.
                close(got.p.loc[x, y], p, what, 1e-7 if abs(value) > 1 - 1e-12 else 1e-12)
                compared += not math.isnan(value)
                assert bool(got.reasons.loc[x, y]) == math.isnan(value), what
        tests = got.p.to_numpy().ravel()
        tests = tests[~numpy.isnan(tests)]
        q = got.q.to_numpy().ravel()
        close_list(q[~numpy.isnan(q)], stats.false_discovery_control(tests))
    assert compared > 200


def close_list(got, want):
    assert list(got) == pytest.approx(list(want), rel=CLOSE, abs=1e-15)


@pytest.mark.parametrize("method", METHODS)
def test_categories_by_correlation_ratio(server, monkeypatch, method):
    monkeypatch.chdir(server.directory)
    load(server, {"c": list(awkward(random.Random(5), 120))})
    got = mida.correlation(campaign="c", method=method)
    numbers, raw = columns("c", ["used.optimizer", *Y])
    for y in Y:
        valid = numbers[y].notna()
        groups = [g for _, g in numbers[y][valid].groupby(raw["used.optimizer"][valid])]
        everything = numpy.concatenate(groups)
        between = sum(len(g) * (g.mean() - everything.mean()) ** 2 for g in groups)
        eta = math.sqrt(between / ((everything - everything.mean()) ** 2).sum())
        assert got.statistics.loc["used.optimizer", y] == "eta"
        close(got.loc["used.optimizer", y], eta, y)
        close(got.p.loc["used.optimizer", y], stats.f_oneway(*groups).pvalue, y)
    assert "names rather than groups" in got.reasons.loc["used.path", "generated.score"]
    assert "constant" in got.reasons.loc["used.one", "generated.score"]
    assert "neither numbers nor text" in got.reasons.loc["used.shape", "generated.score"]
    fields = got.fields.loc["x"]
    assert fields.loc["used.patience", "kind"] == "number"
    auto = mida.query(["id"], filter={"campaign_id": "c", "used.patience": "auto"})
    assert fields.loc["used.patience", "text"] == len(auto) > 0
    assert fields.loc["used.rate", "missing"] + fields.loc["used.rate", "n"] == 120


@pytest.mark.parametrize("correction", ["benjamini-hochberg", "holm", "bonferroni", "none"])
def test_corrections(server, monkeypatch, correction):
    monkeypatch.chdir(server.directory)
    load(server, {"c": list(awkward(random.Random(9), 50))})
    got = mida.correlation(campaign="c", correction=correction)
    p, q = (m.to_numpy().ravel()[~numpy.isnan(m.to_numpy().ravel())] for m in (got.p, got.q))
    m, order = len(p), numpy.argsort(p)
    want = numpy.empty(m)
    if correction == "benjamini-hochberg":
        want = stats.false_discovery_control(p, method="bh")
    elif correction == "holm":
        want[order] = numpy.minimum(1, numpy.maximum.accumulate(p[order] * (m - numpy.arange(m))))
    elif correction == "bonferroni":
        want = numpy.minimum(1, p * m)
    else:
        want = p
    close_list(q, want)
    assert got.answer["tests"] == m > 20


def test_a_frame_like_others(trained):
    got = mida.correlation(x=["used.layers"], y="generated.loss,elapsed", filter={"status": "FINISHED"}, min_n=3)
    assert list(got.index) == ["used.layers"]
    assert list(got.columns) == ["generated.loss", "elapsed"]
    assert got.loc["used.layers", "generated.loss"] == pytest.approx(-0.956, abs=1e-3)
    assert type(got.round(1)) is pandas.DataFrame
    assert type(got[["elapsed"]]) is pandas.DataFrame
    ax = got.plot(title="what matters")
    assert [t.get_text() for t in ax.texts] == ["-.96"]
    assert "without a coefficient: elapsed" in ax.get_xlabel()
    assert mida.plot_correlation(got, everything=True).get_xlim() == (-0.5, 1.5)
    with pytest.raises(ValueError, match="nothing to draw"):
        mida.correlation(y="elapsed").plot()
    assert mida.Client().correlation("used.layers", "elapsed").shape == (1, 1)
    assert mida.Client().scatter("used.layers", "elapsed")["total"] == 6
    points = mida.scatter("used.layers", "generated.loss", limit=4)
    assert (points["total"], points["sampled"], len(points["points"])) == (6, True, 4)
    with pytest.warns(mida.MidaWarning, match='did you mean "used.layers"'):
        mida.correlation(x="used.layrs")
    for wrong in ({"method": "kendall"}, {"min_n": 1}, {"x": [1]}, {"filter": {"statsu": 1}}):
        with pytest.raises(mida.QueryError):
            mida.correlation(**wrong)


def test_clustering_puts_alike_beside_each_other(server, monkeypatch):
    """Two families of fields, given in turn, stand apart; every number stays with its fields."""
    monkeypatch.chdir(server.directory)
    rng = random.Random(3)
    tasks = []
    for _ in range(60):
        a, b = rng.gauss(0, 1), rng.gauss(0, 1)
        used = {f"{'ab'[i % 2]}{i}": (a, b)[i % 2] + rng.gauss(0, 0.1) for i in range(6)}
        tasks.append({"used": used, "generated": {"p": a, "q": b, "r": -a}})
    load(server, {"c": tasks})
    found = mida.correlation(y="generated.*")
    ax = found.plot(cluster=True)
    rows = [label.get_text() for label in ax.get_yticklabels()]
    families = "".join(name[len("used.")] for name in rows)
    assert families in ("aaabbb", "bbbaaa"), rows
    assert sorted(rows) == sorted(found.index) != rows
    columns = [label.get_text() for label in ax.get_xticklabels()]
    for text in ax.texts:
        x, y = text.get_position()
        assert text.get_text() == f"{found.loc[rows[y], columns[x]]:.2f}".replace("0.", ".")


def test_command(trained, capsys, tmp_path):
    def run(*args):
        code = cli.main(["correlation", *args])
        out, err = capsys.readouterr()
        return code, out, err

    code, out, err = run("--campaign", "c1", "--filter", "status=FINISHED")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["generated.loss"]
    assert lines[1].split() == ["used.layers", "-0.96*"]
    assert "6 tasks, pearson, 1 tests, benjamini-hochberg" in err
    assert "used.cfg.opt (is constant" in err or "used.cfg.opt (constant)" in err
    code, out, _ = run("--format", "csv", "--x", "used.layers", "--method", "spearman")
    assert out.splitlines()[0] == "x,y,statistic,value,n,p,q,reason"
    assert out.splitlines()[1].startswith("used.layers,generated.loss,spearman,-0.956")
    code, out, _ = run("--format", "json")
    assert json.loads(out)["tasks"] == 6
    code, out, _ = run("--plot", str(tmp_path / "heat.png"))
    assert code == 0
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = run("--plot", str(tmp_path / "heat.svg"))
    assert "<svg" in (tmp_path / "heat.svg").read_text()
    code, _, err = run("--method", "kendall")
    assert code == 2
    assert "valid: pearson, spearman" in err
    code, _, err = run("--y", "elapsed", "--plot", str(tmp_path / "none.png"))
    assert code == 1
    assert "nothing to draw" in err


def test_says_what_it_needs(trained):
    """Without pandas the function says so, and the command works."""
    blocked = "import sys; sys.modules['pandas'] = sys.modules['matplotlib'] = None; "
    for code, words in (
        ("import mida; mida.correlation()", "mida.correlation needs pandas: pip install pandas"),
        ("from mida import cli; sys.exit(cli.main(['correlation', '--plot', 'x.png']))", "--plot needs pandas"),
    ):
        done = subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True)
        assert done.returncode == 1
        assert words in done.stderr
    code = "from mida import cli; sys.exit(cli.main(['correlation']))"
    done = subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True)
    assert (done.returncode, "-0.96*" in done.stdout) == (0, True), done.stderr
