"""Take one behaviour after the other out of the code, and see that the cases which cite it fail.

Each mutation of the .toml files beside this one names sentences of the contract and edits that take
away what they promise. It is killed when for each of its sentences a case that cites it fails; one
that survives shows a case that tests too little. An edit whose text is not found is an error.

The sources stay as they are: every function that is edited gets a variant for each mutation, all of
them are laid over the sources in one build of a suite (`go test -overlay`), and MIDA_MUTANT says
which of them is in force. Only the cases that cite the sentences are run.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "conformance.md"

# Suite → package, and the path of the tests below which its cases lie.
SUITES = {
    "query": ("internal/query", "TestScripts"),
    "sqlite": ("internal/store/sqlite", "TestConformance"),
    "opensearch": ("internal/store/elastic", "TestConformance/opensearch"),
    "elasticsearch": ("internal/store/elastic", "TestConformance/elasticsearch"),
}
SWITCH = """package {package}

import (
	"os"
	"strconv"
)

var mutant, _ = strconv.Atoi(os.Getenv("MIDA_MUTANT"))
"""
# The beginning of a function as gofmt leaves it.
FUNCTION = re.compile(r"^func (?:\((\w+) [^)]*\) )?(\w+)\(", re.M)


@dataclass(frozen=True)
class Function:
    """One function of a file."""

    text: str
    name: str
    receiver: str  # "" for none
    parameters: tuple[str, ...]
    head: str  # up to its parameters
    results: str
    body: str

    def variant(self, changed: str, number: int) -> tuple[str, str]:
        """Return the call that stands first in the function, and the variant that it calls."""
        other = f"{self.name}Mutant{number}"
        call = f"{self.receiver and self.receiver + '.'}{other}({', '.join(self.arguments())})"
        run = f"return {call}" if self.results else f"{call}\n\t\treturn"
        head = self.head.removesuffix(self.name + "(")
        if not changed.startswith(self.head):
            raise LookupError(f"{self.name}: its declaration is edited")
        body = head + other + "(" + changed.removeprefix(self.head)
        return f"\tif mutant == {number} {{\n\t\t{run}\n\t}}\n", body

    def unnamed(self) -> bool:
        """Say whether the parameters are types only."""
        return not any(" " in p.removeprefix("func(") for p in self.parameters)

    def declared(self) -> list[str]:
        """Return the parameters, each with a name."""
        if self.unnamed() and len(self.parameters) == 1:
            return [f"p0 {self.parameters[0]}"]
        return [re.sub(r"^_ ", f"p{i} ", p) for i, p in enumerate(self.parameters)]

    def arguments(self) -> list[str]:
        """Return the arguments that hand the parameters on."""
        return [
            p.split()[0] + ("..." if re.match(r"\w+ \.\.\.", p) else "") for p in self.declared()
        ]

    def with_calls(self, calls: list[str]) -> str:
        """Return the function with calls of variants before its body."""
        head = f"{self.head}{', '.join(self.declared())}){self.results} {{\n"
        return head + "".join(calls) + self.body + "\n}\n"


def function_at(text: str, at: int, length: int) -> Function | None:
    """Return the function that holds a part of a file."""
    for m in FUNCTION.finditer(text):
        items, depth, i, start = [], 0, m.end(), m.end()
        while depth >= 0:
            depth += (text[i] in "([{") - (text[i] in ")]}")
            if depth < 0 or (depth == 0 and text[i] == ","):
                items.append(text[start:i].strip())
                start = i + 1
            i += 1
        results, opening = text[i : text.index("\n", i)], text.index("\n", i)
        if results.endswith(" {"):
            results, end = results[:-2], text.index("\n}\n", opening)
            body, end = text[opening + 1 : end], end + 3
        else:  # all on one line
            results, body = re.match(r"(.*?) ?\{ (.*) \}$", results).groups()  # type: ignore[union-attr]
            body, end = "\t" + body, opening + 1
        if m.start() <= at and at + length <= end:
            whole = text[m.start() : end]
            parameters = tuple(p for p in items if p)
            return Function(whole, m[2], m[1] or "", parameters, m[0], results, body)
    return None


@dataclass(frozen=True)
class Edit:
    """A text in a function, and what stands there instead."""

    file: str
    find: str
    replace: str
    optional: bool = False  # not an error where its file or its text is missing


@dataclass(frozen=True)
class Mutation:
    """One behaviour removed."""

    what: str
    contract: tuple[str, ...]  # each a part of one sentence that cases cite
    suite: str
    edits: tuple[Edit, ...]


def load() -> list[Mutation]:
    """Read all mutations."""
    out = []
    for path in sorted(HERE.glob("*.toml")):
        for m in tomllib.loads(path.read_text())["mutation"]:
            edits = tuple(
                Edit(e["file"], e["find"], e["replace"], e.get("optional", False))
                for e in m.get("edits") or [m]
            )
            cited = m["contract"]
            out.append(
                Mutation(
                    m["what"],
                    (cited,) if isinstance(cited, str) else tuple(cited),
                    m.get("on", "sqlite"),
                    edits,
                )
            )
    return out


def variants(mutations: list[Mutation]) -> dict[str, str]:
    """Return the changed files with a variant of each edited function for each mutation."""
    originals: dict[str, str] = {}
    calls: dict[tuple[str, Function], list[str]] = defaultdict(list)
    bodies: dict[str, list[str]] = defaultdict(list)
    for number, m in enumerate(mutations, 1):
        changed: dict[tuple[str, Function], str] = {}
        for edit in m.edits:
            path = ROOT / edit.file
            text = path.read_text() if path.exists() else ""
            if (n := text.count(edit.find)) == 0 and edit.optional:
                continue
            if n != 1:
                raise LookupError(f"{m.what}: {edit.file} has its text {n} times:\n{edit.find}")
            originals[edit.file] = text
            function = function_at(text, text.index(edit.find), len(edit.find))
            if function is None:
                raise LookupError(f"{m.what}: its text is in no function:\n{edit.find}")
            now = changed.get((edit.file, function), function.text)
            changed[edit.file, function] = now.replace(edit.find, edit.replace)
        if not changed:
            raise LookupError(f"{m.what}: none of its texts is found")
        for (file, function), now in changed.items():
            call, body = function.variant(now, number)
            calls[file, function].append(call)
            bodies[file].append(body)
    for (file, function), some in calls.items():
        originals[file] = originals[file].replace(function.text, function.with_calls(some))
    return {file: "\n".join([text, *bodies[file]]) for file, text in originals.items()}


def build(suite: str, mutations: list[Mutation], directory: Path) -> Path:
    """Build the tests of a suite with all of these mutations in them."""
    replaced = {}
    files = variants(mutations)
    for folder in {str(Path(name).parent) for name in files}:
        files[f"{folder}/mutant_switch.go"] = SWITCH.format(package=Path(folder).name)
    for i, (name, text) in enumerate(sorted(files.items())):
        path = directory / f"{i}.go"
        path.write_text(text)
        replaced[str(ROOT / name)] = str(path)
    listing = directory / "overlay.json"
    listing.write_text(json.dumps({"Replace": replaced}))
    binary = directory / f"{suite}.test"
    go = [os.environ.get("GO", "go"), "test", "-c", "-trimpath", "-vet=off", "-overlay"]
    subprocess.run(
        [*go, str(listing), "-o", str(binary), "./" + SUITES[suite][0]],
        cwd=ROOT,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    return binary


@dataclass
class Cases:
    """The cases of a suite that ran: what they cite and how they ended."""

    contract: dict[str, set[str]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def sentences(self) -> set[str]:
        """Return all that is cited."""
        return set().union(*self.contract.values())

    def citing(self, part: str) -> set[str]:
        """Return the cases that cite a sentence, given a part of it."""
        return {name for name, cited in self.contract.items() if any(part in s for s in cited)}

    def whole(self, part: str) -> str:
        """Return the sentence that a part is of."""
        found = sorted(s for s in self.sentences() if part in s)
        if len(found) != 1:
            raise LookupError(f"{part!r} is a part of {len(found)} cited sentences: {found}")
        return found[0]

    def failed(self) -> set[str]:
        """Return the cases that failed, or were running when everything ended."""
        return {name for name in self.contract if self.ended.get(name) not in ("PASS", "SKIP")}


def run(
    binary: Path, suite: str, cases: Iterable[str] = (), mutant: int = 0, timeout: str = "5m"
) -> Cases:
    """Run cases of a suite, or all."""
    package, path = SUITES[suite]
    levels: list[set[str]] = [set(), set(), set()]
    for name in cases:
        for level, part in zip(levels, name.split("/"), strict=False):
            level.add(re.escape(part))
    below = [*path.split("/"), *(f"({'|'.join(sorted(names))})" for names in levels if names)]
    done = subprocess.run(
        [
            str(binary),
            "-test.v=test2json",
            "-test.timeout=" + timeout,
            "-test.run=" + "/".join(f"^{p}$" for p in below),
        ],
        cwd=ROOT / package,
        env={**os.environ, "MIDA_MUTANT": str(mutant)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    out = cases_of(done.stdout, path)
    if not out.contract:
        raise RuntimeError(f"no case ran:\n{done.stdout[-4000:]}")
    return out


def cases_of(text: str, path: str) -> Cases:
    """Read the cases below a test from what -test.v=test2json prints."""
    out = Cases()
    for line in text.splitlines():
        line = line.lstrip("\x16 ")
        if m := re.match(rf"=== ATTR  {path}/(\S+) contract (.*)", line):
            out.contract.setdefault(m[1], set()).add(m[2])
        elif m := re.match(rf"--- (PASS|FAIL|SKIP): {path}/(\S+) ", line):
            out.ended[m[2]] = m[1]
    return out


def write_between(begin: str, end: str, text: str) -> None:
    """Put a text between two marks of the page."""
    old = PAGE.read_text()
    PAGE.write_text(old.split(begin)[0] + f"{begin}\n\n{text}\n\n{end}" + old.split(end)[1])


@dataclass
class Result:
    """What became of a mutation."""

    killed: bool  # for each sentence a case that cites it failed
    failed: list[str]  # cases that cite the sentences and failed
    citing: int  # cases that cite the sentences


def judge(number: int, m: Mutation, binary: Path, all_cases: Cases) -> Result:
    """Run the cases that cite a mutation's sentences with the mutation in force."""
    citing = [all_cases.citing(part) for part in m.contract]
    names = set().union(*citing)
    failed = names & run(binary, m.suite, names, number).failed()
    return Result(all(failed & c for c in citing), sorted(failed), len(names))


def sources(suite: str) -> str:
    """Name the state of the sources that results belong to."""
    text = hashlib.sha256(suite.encode())
    for path in sorted((ROOT / "internal").rglob("*")):
        if path.suffix in (".go", ".txt", ".json"):
            text.update(path.read_bytes())
    return text.hexdigest()


def judge_all(
    mutations: list[Mutation], memory: Path
) -> tuple[dict[Mutation, Result], dict[str, Cases]]:
    """Judge every mutation; what was judged before on the same sources is remembered."""
    known = json.loads(memory.read_text()) if memory.exists() else {}
    results: dict[Mutation, Result] = {}
    cases: dict[str, Cases] = {}
    for suite in SUITES:
        chosen = [m for m in mutations if m.suite == suite]
        if not chosen:
            continue
        state = sources(suite)
        keys = [hashlib.sha256((state + repr(m)).encode()).hexdigest() for m in chosen]
        with tempfile.TemporaryDirectory(prefix="mida-mutations-") as directory:
            binary = build(suite, chosen, Path(directory))
            cases[suite] = run(binary, suite, timeout="60m")
            if failed := cases[suite].failed():
                raise RuntimeError(f"fail without any mutation: {sorted(failed)}")
            for number, (key, m) in enumerate(zip(keys, chosen, strict=True), 1):
                if key not in known:
                    known[key] = vars(judge(number, m, binary, cases[suite]))
                    memory.write_text(json.dumps(known))
                r = results[m] = Result(**known[key])
                word = "killed  " if r.killed else "SURVIVED"
                print(
                    f"{suite} {number}/{len(chosen)} {word} {len(r.failed)}/{r.citing}: {m.what}",
                    flush=True,
                )
    return results, cases


def missing(found: Iterable[str]) -> None:
    """Print a list of what is lacking."""
    for line in found:
        print("  " + line)


def page(results: dict[Mutation, Result], cases: Cases) -> str:
    """Show the results as a table."""
    failed = proven(results) & cases.contract.keys()
    killed = sum(r.killed for r in results.values())
    touched = {cases.whole(part) for m in results for part in m.contract}
    alone = {name for m, r in results.items() if m.suite == "sqlite" for name in r.failed}
    lines = [
        f"{datetime.date.today().isoformat()}, {' and '.join(sorted({m.suite for m in results}))}: "
        f"{killed} of {len(results)} mutations were killed. "
        f"They take out {len(touched)} of the {len(cases.sentences())} sentences that are cited.",
        f"Of the {len(cases.contract)} cases {len(failed)} failed when a sentence that they cite "
        f"was taken out, {len(alone)} of them for an edit that concerns SQLite.",
        "",
        "| taken out | sentence | on | cases that cite it, and failed |",
        "|---|---|---|---|",
    ]
    for m, r in results.items():
        cited = "<br>".join(cases.whole(part).replace("|", "\\|") for part in m.contract)
        count = f"{len(r.failed)} of {r.citing}" if r.killed else "**survived**"
        lines.append(f"| {m.what} | {cited} | {m.suite} | {count} |")
    return "\n".join(lines)


def proven(results: dict[Mutation, Result]) -> set[str]:
    """Return the cases that failed for a mutation of a sentence of their own."""
    out = {name for r in results.values() for name in r.failed}
    # The scripts are the same cases, run by the evaluator alone.
    return out | {f"queries/{name}" for name in out}


def main() -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutations whose text matches")
    parser.add_argument(
        "--suite", choices=list(SUITES), action="append", help="only the mutations of this suite"
    )
    parser.add_argument("--check", action="store_true", help="only see that they can be built")
    parser.add_argument("--write", action="store_true", help="write the results into the page")
    cache = Path(os.environ.get("MIDA_CACHE", Path.home() / ".cache" / "otelcol-mida"))
    parser.add_argument("--memory", type=Path, default=cache / "mutations.json")
    args = parser.parse_args()

    mutations = load()
    if args.check:
        for suite in SUITES:
            if chosen := [m for m in mutations if m.suite == suite]:
                with tempfile.TemporaryDirectory(prefix="mida-mutations-") as directory:
                    build(suite, chosen, Path(directory))
        print(f"{len(mutations)} mutations: every text is found, and what replaces it compiles")
        return 0
    chosen = [
        m
        for m in mutations
        if re.search(args.only, f"{m.what} {m.contract}") and m.suite in (args.suite or SUITES)
    ]
    args.memory.parent.mkdir(parents=True, exist_ok=True)
    results, suites = judge_all(chosen, args.memory)
    survivors = [m.what for m, r in results.items() if not r.killed]
    if survivors:
        print("survived:")
        missing(survivors)
    if args.only or "sqlite" not in suites:
        return 1 if survivors else 0
    cases = suites["sqlite"]
    touched = {cases.whole(part) for m in results for part in m.contract}
    untouched = sorted(cases.sentences() - touched)
    print(f"{len(untouched)} sentences that no mutation takes out:")
    missing(untouched)
    unproven = sorted(cases.contract.keys() - proven(results))
    print(f"{len(unproven)} cases that failed for no mutation of a sentence that they cite:")
    missing(unproven)
    if args.write:
        write_between("<!-- mutations -->", "<!-- end of mutations -->", page(results, cases))
    return 1 if survivors or unproven or untouched else 0


if __name__ == "__main__":
    sys.exit(main())
