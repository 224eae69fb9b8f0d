"""`autodual replay`: equal files and settings give equal rows; differences are shown; a document alone runs no code."""

from __future__ import annotations

import inspect
import json

import numpy
import pytest
import torch

import autodual
from autodual.policies import RADIUS_RESOLUTION
from autodual.report.comparison import compare

COMMANDS = {
    "certify": ["--eps", "0.05", "--attack", "20"],
    "attack": ["--eps", "0.2", "--attack", "20", "--attack", "msd:steps=2"],
    "radius": ["--max-radius", "0.5", "--norm", "l2", "--tolerance", "0.01"],
    "detect": ["--eps", "0.05", "--domain", "0,1"],
}


@pytest.fixture
def record(invoke, tmp_path, model_file, data_file):
    """Runs a command and returns its document's path."""

    def run(command="certify", *arguments):
        path = tmp_path / f"{command}.json"
        given = arguments or COMMANDS[command]
        outcome = invoke(command, model_file, "--data", data_file, "--json", path, *given)
        assert outcome.exit_code == 0, outcome.stderr
        return path

    return run


def rewrite(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unchanged_run_is_reproduced(invoke, record, command):
    outcome = invoke("replay", record(command))
    assert outcome.exit_code == 0, outcome.output
    assert "rows compared         12" in outcome.stdout and "rows that differ      0" in outcome.stdout
    assert "Differences" not in outcome.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--eps", "0.1", "--norm", "l2", "--domain", "0,1", "--mean", "0.5", "--std", "0.25", "--dtype", "float64"],
        ["--eps", "0.1", "--norm", "3", "--slopes", "shared"],
        ["--eps", "0.05", "--spec", "y0 > y1 or y1 > y0", "--skip", "3", "--limit", "4"],
        ["--eps", "0.05", "--spec", "top-k:2", "--memory", "1MiB"],
    ],
)
def test_all_settings_survive_the_document(invoke, record, arguments):
    path = record("certify", *arguments)
    outcome = invoke("replay", path)
    assert outcome.exit_code == 0, outcome.output
    recorded = json.loads(path.read_text())["certificates"]
    assert f"rows compared         {len(recorded)}" in outcome.stdout


def test_boxes_are_replayed(invoke, record, tmp_path, data_file):
    x = numpy.load(data_file)["x"]
    for name, end in (("l", x - 0.02), ("u", x + 0.02)):
        numpy.save(tmp_path / f"{name}.npy", end)
    path = record("certify", "--box", f"{tmp_path}/l.npy,{tmp_path}/u.npy")
    assert invoke("replay", path).exit_code == 0
    (tmp_path / "u.npy").rename(tmp_path / "v.npy")
    moved = invoke("replay", path, "--box", f"{tmp_path}/l.npy,{tmp_path}/v.npy")
    assert moved.exit_code == 0, moved.output
    numpy.save(tmp_path / "v.npy", x + 0.03)
    changed = invoke("replay", path, "--box", f"{tmp_path}/l.npy,{tmp_path}/v.npy")
    assert changed.exit_code == 2 and "The box is not the one of the recorded run" in changed.stderr


def test_changed_verdicts_and_margins_are_found(invoke, record):
    path = record("certify", "--eps", "0.01")

    def forge(document):
        rows = document["certificates"]
        rows[0]["status"], rows[1]["margin"], rows[2]["margins"][0] = "unknown", rows[1]["margin"] + 0.01, None

    rewrite(path, forge)
    outcome = invoke("replay", path)
    assert outcome.exit_code == 1
    assert "rows that differ      3" in outcome.stdout
    for expected in ("0 status", "1 margin", "2 margins[0]", "recorded unknown, now certified"):
        assert expected in outcome.stdout
    assert "summary, settings     3 value(s) differ" in outcome.stdout  # counts derived from the rows differ too
    assert "6 value(s) differ" in outcome.stderr
    assert invoke("replay", path, "--limit", 1).stdout.count("rows compared         1") == 1


def test_a_forged_counterexample_is_found(invoke, record, data_file):
    path = record("certify")
    rows = json.loads(path.read_text())["certificates"]
    index = next(row["index"] for row in rows if row["status"] == "falsified")
    for point in (numpy.load(data_file)["x"][index].tolist(), [9.0] * 4, [0.5], "text", [[1], [2, 3]]):
        rewrite(path, lambda document, point=point: document["certificates"][index].update(counterexample=point))
        outcome = invoke("replay", path)
        assert outcome.exit_code == 1 and f"{index} counterexample" in outcome.stdout


def test_with_a_limit_the_output_counts_the_rows_left_out(invoke, record):
    outcome = invoke("replay", record(), "--limit", 5)
    assert outcome.exit_code == 0
    assert "rows compared         5" in outcome.stdout and "the other 7 rows" in outcome.stdout


def test_a_tolerance_replaces_the_rounding_errors(invoke, record):
    path = record("certify", "--eps", "0.01")
    rewrite(path, lambda document: document["certificates"][0].update(margin=document["certificates"][0]["margin"] + 1))
    assert invoke("replay", path).exit_code == 1
    loose = invoke("replay", path, "--tolerance", "1.001")
    assert loose.exit_code == 0 and "numbers may be apart  1.001" in loose.stdout


def test_changed_files_are_refused(invoke, record, model_file, data_file, network):
    path = record()
    x, y = (numpy.load(data_file)[key] for key in "xy")
    numpy.savez(data_file, x=x * 0.5, y=y)
    changed = invoke("replay", path)
    assert changed.exit_code == 2 and "The data is not the one of the recorded run" in changed.stderr
    numpy.savez(data_file, x=x, y=y)
    with torch.no_grad():
        network[0].bias += 1
    torch.save(network, model_file)
    changed = invoke("replay", path)
    assert changed.exit_code == 2 and "The model is not the one of the recorded run" in changed.stderr


def test_files_may_have_moved(invoke, record, tmp_path, model_file, data_file, monkeypatch):
    path = record()
    (tmp_path / "moved").mkdir()
    model_file.rename(tmp_path / "moved" / "m.pt")
    gone = invoke("replay", path)
    assert gone.exit_code == 2 and "cannot be read" in gone.stderr
    assert invoke("replay", path, "--model", tmp_path / "moved" / "m.pt").exit_code == 0
    rewrite(path, lambda document: document["settings"].update(model="moved/m.pt", data="data.npz"))
    rewrite(path, lambda document: document["settings"]["provenance"].update(directory=str(tmp_path)))
    assert invoke("replay", path).exit_code == 0  # from the folder that the run was started in


def test_a_document_alone_makes_no_code_run(invoke, tmp_path, data_file, network):
    torch.save(network.state_dict(), tmp_path / "state.pt")
    code = "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))\n"
    (tmp_path / "arch.py").write_text(code)
    path, arch = tmp_path / "out.json", f"{tmp_path}/arch.py:build"
    run = ["certify", tmp_path / "state.pt", "--arch", arch, "--data", data_file, "--eps", "0.1", "--json", path]
    assert invoke(*run).exit_code == 0
    (tmp_path / "arch.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{code}")
    refused = invoke("replay", path)
    assert refused.exit_code == 2 and "give --arch again" in refused.stderr
    rewrite(path, lambda document: document["settings"].update(arch=None, unsafe_load=True))
    refused = invoke("replay", path)
    assert refused.exit_code == 2 and "give --unsafe-load again" in refused.stderr
    assert not (tmp_path / "ran").exists()
    allowed = invoke("replay", path, "--arch", arch, "--unsafe-load")
    assert "changed since" in allowed.stdout and (tmp_path / "ran").exists()
    assert allowed.exit_code == 1 and "settings unsafe_load  recorded True, now False by the command" in allowed.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document["settings"].update(eps="0.1"), "usable 'eps'"),
        (lambda document: document["settings"].update(norm="l0"), "norm 'l0'"),
        (lambda document: document["settings"].update(domain=[0]), "is not a document of the schema"),
        (lambda document: document["settings"].update(domain=[1, 0]), "is empty"),
        (lambda document: document["settings"].update(slopes="steep"), "slopes 'steep'"),
        (lambda document: document["settings"].update(arithmetic="float16"), "arithmetic 'float16'"),
        (lambda document: document["settings"].update(batch_size=True), "usable 'batch_size'"),
        (lambda document: document["settings"].update(model=None), "usable 'model'"),
        (lambda document: document["settings"].update(specification="gibberish"), "is not a specification"),
        (lambda document: document["settings"].pop("model_sha256"), "usable 'model_sha256'"),
        (lambda document: document["certificates"][0].update(index=99), "samples that its data do not hold"),
        (lambda document: document["certificates"][0].update(index=-1), "samples that its data do not hold"),
        (lambda document: document["certificates"].clear(), "holds no row"),
    ],
)
def test_unusable_documents_are_one_line(invoke, record, change, message):
    path = record()
    rewrite(path, change)
    outcome = invoke("replay", path)
    assert outcome.exit_code == 2 and message in outcome.stderr and "Traceback" not in outcome.output


PROPERTY = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const X_2 Real) (declare-const X_3 Real)
(declare-const Y_0 Real) (declare-const Y_1 Real) (declare-const Y_2 Real)
(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 0)) (assert (<= X_1 1))
(assert (>= X_2 0)) (assert (<= X_2 1)) (assert (>= X_3 0)) (assert (<= X_3 1))
(assert (>= Y_0 LIMIT))
"""


@pytest.mark.parametrize(("limit", "verdict"), [("-1000", "sat"), ("1000", "unsat")])
def test_verdicts_are_reported_and_replayed(invoke, tmp_path, model_file, limit, verdict):
    pytest.importorskip("vnnlib")
    goal, path = tmp_path / "p.vnnlib", tmp_path / "v.json"
    goal.write_text(PROPERTY.replace("LIMIT", limit))
    run = invoke("verify", model_file, goal, "--timeout", 60, "--json", path)
    assert run.exit_code == 0 and run.stdout.startswith(verdict), run.output
    assert invoke("report", path, "--counterexamples", tmp_path / "points").exit_code == 0
    page = path.with_suffix(".html").read_text()
    assert f"{verdict} (1 property)" in page and "contradicts itself" not in page
    assert len(list((tmp_path / "points").iterdir())) == (verdict == "sat")
    again = invoke("replay", path)
    assert again.exit_code == 0 and "rows that agree       1" in again.stdout, again.output
    rewrite(path, lambda document: document["verdicts"][0].update(status="unknown"))
    assert invoke("replay", path).exit_code == 1
    goal.write_text(PROPERTY.replace("LIMIT", "7"))
    changed = invoke("replay", path)
    assert changed.exit_code == 2 and "The property is not the one of the recorded run" in changed.stderr


def certificate(**changes):
    row = {"index": 0, "status": "certified", "arithmetic": "float32", "margin": 1.0, "margins": [1.0, 0.0],
           "rounding_error": 0.01}  # fmt: skip
    return {**row, **changes}


def test_margins_agree_up_to_twice_the_rounding_error_of_the_replay():
    def differences(**changes):
        return compare("autodual.certify/1", {}, [certificate()], [certificate(**changes)]).differences

    assert differences(margin=1.015) == []
    assert [item.key for item in differences(margin=1.025)] == ["margin"]
    assert [item.key for item in differences(margin=None)] == ["margin"]
    assert [item.key for item in differences(margins=[1.0])] == ["margins"]
    (other,) = compare("autodual.certify/1", {}, [certificate(arithmetic="float64")], [certificate()]).differences
    assert (other.key, other.recorded, other.now) == ("arithmetic", "float64", "float32")
    generous = certificate(rounding_error=10.0, margin=5.0)
    found = compare("autodual.certify/1", {}, [generous], [certificate()]).differences
    assert {item.key: item.allowed for item in found} == {"margin": 0.02, "rounding_error": 1e-5}
    assert not compare("autodual.certify/1", {}, [], []).agrees


def test_radii_agree_up_to_the_resolution_of_the_search():
    def agrees(before, after, **options):
        rows = [[{"index": 0, "radius": radius}] for radius in (before, after)]
        return compare("autodual.radius/1", {"max_radius": 0.5}, *rows, **options).agrees

    assert agrees(0.1, 0.1 + 0.9e-4) and not agrees(0.1, 0.1 + 1.1e-4)
    assert not agrees(0.0, 1e-9) and agrees(0.0, 0.0)
    assert agrees(0.1, 0.2, tolerance=0.11)
    coarse = {"max_radius": 0.5, "tolerance": 0.01}
    moved = [[{"index": 0, "radius": radius}] for radius in (0.1, 0.109, 0.111)]
    assert compare("autodual.radius/1", coarse, moved[0], moved[1]).agrees
    assert not compare("autodual.radius/1", coarse, moved[0], moved[2]).agrees
    default = inspect.signature(autodual.certified_radius).parameters["tolerance"].default
    assert default == RADIUS_RESOLUTION
