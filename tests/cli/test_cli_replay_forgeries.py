"""Each value of a recorded document is forged in turn, and `replay` must name it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from autodual_cli.main import cli
from autodual_cli.tasks import property_verdict
from click.testing import CliRunner, Result
from torch import nn

from autodual.certification import Verdict, VerdictStatus

PROPERTY = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 0)) (assert (<= X_1 1)) (assert (>= Y_0 -1000))
"""
EPS = ["--eps", "0.1"]
COMMANDS = {
    "certify": ["certify", "model.pt", *EPS, "--attack", "5", "--domain", "-1,2", "--deployed"],
    "cascade": ["certify", "cascade.pt", *EPS, "--cascade", "--limit", "1"],
    "attack": ["attack", "model.pt", "--eps", "0.6", "--attack", "3", "--limit", "1"],
    "radius": ["radius", "model.pt", "--max-radius", "0.01"],
    "detect": ["detect", "model.pt", *EPS],
    "verify": ["verify", "model.pt", "p.vnnlib", "--timeout", "60"],
}
# These cannot be recomputed; `replay` says that it did not compare them.
UNKNOWABLE = ("seconds", "started", "directory")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """One document of each schema, from two samples, in the folder that the commands ran in."""
    folder = tmp_path_factory.mktemp("forgeries")
    torch.manual_seed(0)
    stages = [nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval() for _ in range(2)]
    torch.save(stages[0], folder / "model.pt")
    torch.save(stages, folder / "cascade.pt")
    x = numpy.array([[0.9, 0.1], [0.2, 0.6]], dtype=numpy.float32)
    numpy.savez(folder / "data.npz", x=x, y=stages[0](torch.from_numpy(x)).argmax(1).numpy())
    (folder / "p.vnnlib").write_text(PROPERTY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, command in COMMANDS.items():
            data = [] if name == "verify" else ["--data", "data.npz"]
            outcome = run(*command, *data, "--json", f"{name}.json")
            assert outcome.exit_code == 0, outcome.output
        yield {name: folder / f"{name}.json" for name in COMMANDS}


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not children:
        yield path
    for key, child in children:
        yield from leaves(child, (*path, key))


def forged(value: Any, path: tuple[str | int, ...]) -> Any:
    """Another plausible value of the same type."""
    if path[-1] == "slopes":
        return "shared"
    if path[-1] in ("arithmetic", "dtype"):
        return "float64"
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if isinstance(value, int) else value + 0.25
    if path[-1] == "command":
        return value.replace("--json", "--device cuda --json")
    return f"{value}0" if isinstance(value, str) else 1


def replayed(document: dict, change: Callable[[dict], object], folder: Path) -> Result:
    document = copy.deepcopy(document)
    change(document)
    (folder / "forged.json").write_text(json.dumps(document))
    outcome = run("replay", folder / "forged.json")
    assert not isinstance(outcome.exception, Exception), outcome.exception
    return outcome


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_forged_value_is_named(documents: dict[str, Path], name: str) -> None:
    path = documents[name]
    document = json.loads(path.read_text())
    honest = run("replay", path)
    assert honest.exit_code == 0 and "changed since" not in honest.stdout, honest.output
    missed = []
    for *where, key in leaves(document):
        if "provenance" in where and name != "certify":
            continue  # the provenance is the same for all commands

        def forge(copied: dict, where: list = where, key: Any = key) -> None:
            place = at(copied, tuple(where))
            place[key] = forged(place[key], (*where, key))

        outcome = replayed(document, forge, path.parent)
        if outcome.exit_code == 0 and key not in UNKNOWABLE and "changed since" not in outcome.stdout:
            missed.append((*where, key))
    assert missed == []


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        (
            "certify",
            lambda row: row.update(margin=row["margin"] + 5, rounding_error=10.0),
            ["margin", "rounding_error"],
        ),
        ("certify", lambda row: row.update(margin=row["margin"] + 5, arithmetic="float64"), ["margin", "arithmetic"]),
        ("certify", lambda row: row.pop("method"), ["method"]),
        ("certify", lambda row: row.update(certified_forever=True), ["certified_forever"]),
        ("cascade", lambda row: row["visits"].clear(), ["visits"]),
        ("radius", lambda row: row.update(radius=row["radius"] + 0.01), ["radius"]),
        ("detect", lambda row: row.update(flagged=int(row["flagged"])), None),
        ("verify", lambda row: row.update(counterexample=[[0.1, 0.2]]), None),
        ("verify", lambda row: row.update(counterexample=[0.1]), ["counterexample"]),
        ("verify", lambda row: row.update(counterexample=[2.0, 2.0]), ["counterexample"]),
        ("verify", lambda row: row.update(case=7), ["case", "counterexample"]),
        ("verify", lambda row: row.update(status="unsat", counterexample=None, outputs=None), ["status"]),
        ("verify", lambda row: row.update(outputs=[3.0, 4.0]), ["counterexample"]),
    ],
)
def test_consistent_forgeries_of_a_row_are_found(documents: dict[str, Path], name: str, change, named) -> None:
    """`named` None: the document may be refused instead, or any difference reported."""
    document = json.loads(documents[name].read_text())
    (key,) = document.keys() - {"schema", "settings", "summary"}
    outcome = replayed(document, lambda copied: change(copied[key][0]), documents[name].parent)
    if named is None:
        assert outcome.exit_code == 2 or "Differences" in outcome.stdout
        return
    assert outcome.exit_code == 1
    for word in named:
        assert f"\n  0 {word}" in outcome.stdout, outcome.stdout


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize(
    ("name", "where", "value"),
    [
        ("certify", ("settings", "memory_bytes"), 10**400),
        ("certify", ("settings", "eps"), 10**400),
        ("certify", ("settings", "domain"), [1]),
        ("certify", ("settings", "domain"), []),
        ("attack", ("settings", "attacks"), [10**400]),
        ("attack", ("settings", "attacks"), ["pgd:steps=0"]),
        ("attack", ("settings", "save_points"), "/dev/zero"),
        ("attack", ("settings", "batch_size"), 0),
        ("attack", ("settings", "skip"), 10**6),
        ("attack", ("samples", 0, "broken_by"), [1]),
        ("certify", ("settings", "set"), 7),
        ("certify", ("settings", "provenance", "command"), "x"),
        ("certify", ("settings", "provenance", "command"), "autodual certify --help"),
        ("certify", ("certificates", 0, "assumptions"), [[1]]),
        ("verify", ("settings", "timeout"), 1e308),
        ("verify", ("settings", "seed"), 10**400),
        ("verify", ("settings", "input_shape", 0), 10**400),
    ],
)
def test_nonsensical_values_are_refused_or_named(documents: dict[str, Path], name: str, where, value) -> None:
    """Neither `replay` nor `report` may raise; the helper `replayed` checks this for `replay`."""
    document = json.loads(documents[name].read_text())

    def forge(copied: dict) -> None:
        at(copied, where[:-1])[where[-1]] = value

    outcome = replayed(document, forge, documents[name].parent)
    assert outcome.exit_code in (1, 2) or "not compared          the command" in outcome.stdout
    page = run("report", documents[name].parent / "forged.json", "--overwrite")
    assert not isinstance(page.exception, Exception), page.exception


def test_if_the_replay_times_out_only_sat_is_reproduced(documents: dict[str, Path], monkeypatch) -> None:
    """A timeout does not confirm a recorded `unsat`; a recorded `sat` is confirmed by its counterexample."""
    document = json.loads(documents["verify"].read_text())

    def out_of_time(*arguments: object, **options: object) -> Verdict:
        return Verdict(VerdictStatus.TIMEOUT, None, None, None, "the time was up", 1, 0, 60.0)

    monkeypatch.setattr(property_verdict, "verify", out_of_time)
    sat = replayed(document, lambda copied: None, documents["verify"].parent)
    assert sat.exit_code == 0 and "sat then, timeout now, and the counterexample recorded is one" in sat.stdout

    def claim(copied: dict) -> None:
        copied["verdicts"][0].update(status="unsat", counterexample=None, outputs=None, case=None)
        copied["summary"].update(sat=0, unsat=1)

    unsat = replayed(document, claim, documents["verify"].parent)
    assert unsat.exit_code == 1 and "recorded unsat, now timeout" in unsat.stdout


def test_documents_of_other_versions_may_lack_values(documents: dict[str, Path]) -> None:
    document = json.loads(documents["detect"].read_text())

    def age(copied: dict) -> None:
        copied["settings"]["version"] = copied["settings"]["provenance"]["versions"]["autodual"] = "0.0.1"
        del copied["summary"]["flagged_fraction"]

    outcome = replayed(document, age, documents["detect"].parent)
    assert outcome.exit_code == 0 and "flagged_fraction: the version of then did not say it" in outcome.stdout
    assert "autodual: 0.0.1, now" in outcome.stdout
