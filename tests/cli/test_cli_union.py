"""`--norm union`: the library's results for a union, in tables, files, pages, replays, networks and recipes."""

from __future__ import annotations

import csv
import json

import numpy
import pytest
import torch

import autodual

MEMBERS = "linf:0.05,l2:0.08,l1:0.1"
UNION = ("--norm", "union", "--members", MEMBERS)


@pytest.fixture
def run(invoke, tmp_path, model_file, data_file):
    def run(command, *arguments):
        path = tmp_path / f"{command}.json"
        outcome = invoke(command, model_file, "--data", data_file, "--json", path, *arguments)
        assert outcome.exit_code == 0, outcome.output
        return path

    return run


def test_a_certified_union_is_written_replayed_and_shown(run, invoke, network, data_file, tmp_path):
    table = tmp_path / "rows.csv"
    path = run("certify", *UNION, "--eps", 1, "--domain", "0,1", "--attack", "msd:steps=3", "--csv", table)
    document = json.loads(path.read_text())
    assert document["settings"]["set_options"] == {"members": ["linf:0.05", "l2:0.08", "l1:0.1"]}
    with numpy.load(data_file) as data:
        x, labels = torch.from_numpy(data["x"]), torch.from_numpy(data["y"])
    balls = [
        kind(size, (0, 1))
        for kind, size in zip((autodual.LinfBall, autodual.L2Ball, autodual.L1Ball), (0.05, 0.08, 0.1))
    ]
    found = autodual.certify(autodual.compile_dual(network), x, autodual.Union(*balls), labels)
    for row, certificate in zip(document["certificates"], found, strict=True):
        assert row["margin"] == certificate.margin and row["decided_by"] == certificate.decided_by
    with table.open() as lines:
        assert [row["decided_by"] for row in csv.DictReader(lines)] == [one.decided_by for one in found]
    assert (replayed := invoke("replay", path)).exit_code == 0, replayed.output
    assert (reported := invoke("report", path)).exit_code == 0, reported.output
    page = path.with_suffix(".html")
    assert "in the set of size 1.0 around x (union of l∞ ball of radius 0.05, clipped to [0, 1];" in page.read_text()
    assert all(one.decided_by in page.read_text() for one in found)


@pytest.mark.parametrize(("command", "options"), [("radius", ()), ("detect", ("--eps", "0.5"))])
def test_other_commands_take_unions(run, invoke, command, options):
    path = run(command, *UNION, *options)
    assert "union of l∞ ball of radius 0." in json.loads(path.read_text())["settings"]["set"]
    assert (replayed := invoke("replay", path)).exit_code == 0, replayed.output


def test_a_network_trained_on_a_union_is_certified_over_it(invoke, data_file, tmp_path):
    trained = invoke(
        *("train", "--data", data_file, "--arch", "mlp:4", *UNION, "--eps", 1, "--loss", "msd", "--epochs", 1),
        *("--set", "data.hold_out=4", "--set", "loss.steps=2", "--output", tmp_path / "run", "--threads", 1),
    )
    assert trained.exit_code == 0, trained.output
    certified = invoke("certify", tmp_path / "run" / "network.pt", "--data", data_file)
    assert certified.exit_code == 0 and "union of l∞ ball of radius 0.05" in certified.output, certified.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--norm", "union"), "needs its parameter 'members'"),
        (("--norm", "union", "--members", "linf"), "spelled NAME:RADIUS"),
        (("--norm", "union", "--members", "linf:0.1,square:1"), "'square' is no norm"),
        (("--members", MEMBERS), "--members shapes another set"),
    ],
)
def test_misspelled_unions_are_refused_in_one_sentence(invoke, model_file, data_file, arguments, words):
    outcome = invoke("certify", model_file, "--data", data_file, "--eps", 1, *arguments)
    assert outcome.exit_code == 2 and words in outcome.output and ".." not in outcome.output
