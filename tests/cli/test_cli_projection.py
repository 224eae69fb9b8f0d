"""`autodual certify --projection`: exact bounds where they fit the budget, estimates elsewhere, always told apart."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from autodual_cli.main import cli
from click.testing import CliRunner, Result

import autodual
from autodual.data import load_dataset
from autodual.files import load_model_file
from autodual.passes import HighProbability, default_pipeline

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "mnist_small.pt")
# Exact bounds of samples 0 and 1 need more than 50 rows, those of sample 2 do not.
MIXED = ["certify", EXAMPLE, "--eps", "0.1", "--limit", "3", "--projection", "50"]


def document_of(path):
    return json.loads(path.read_text())


def rewrite(path, change):
    document = document_of(path)
    change(document)
    path.write_text(json.dumps(document))


def entry(outcome: Result, name: str) -> str:
    """A value of the table on standard output."""
    (found,) = re.findall(rf"^  {re.escape(name)}  +(.*)$", outcome.stdout, re.MULTILINE)
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[Path, Result]:
    """A folder with the JSON and CSV files of a run that mixes both kinds of certificates, and its outcome."""
    folder = tmp_path_factory.mktemp("mixed")
    outcome = CliRunner().invoke(cli, [*MIXED, "--json", f"{folder}/out.json", "--csv", f"{folder}/out.csv"])
    assert outcome.exit_code == 0, outcome.output
    return folder, outcome


@pytest.fixture
def mixed(recorded, tmp_path) -> Path:
    """A copy of that run's document, which a test may change."""
    return Path(shutil.copy(recorded[0] / "out.json", tmp_path))


def test_the_document_holds_what_the_library_certifies(mixed):
    x, y = (part[:3] for part in (load_dataset("sample").x, load_dataset("sample").y))
    projecting = HighProbability(delta=0.01, dim=50, seed=0)
    model = load_model_file(EXAMPLE).model
    dual = autodual.compile_dual(model, x[:1], passes=[*default_pipeline(), projecting])
    expected = autodual.certify(dual, x, autodual.LinfBall(0.1), labels=y)
    rows = document_of(mixed)["certificates"]
    assert [row["status"] for row in rows] == ["probably certified", "probably certified", "certified"]
    assert [row["status"] for row in rows] == [str(certificate.status) for certificate in expected]
    assert [row["failure_probability"] for row in rows] == [0.01, 0.01, 0.0]
    assert [row["margin"] for row in rows] == pytest.approx([certificate.margin for certificate in expected])
    assert [row["method"] for row in rows] == [certificate.method for certificate in expected]


def test_deterministic_and_probable_results_are_counted_apart(mixed):
    document = document_of(mixed)
    summary, settings = document["summary"], document["settings"]
    assert (summary["certified"], summary["probably certified"], summary["estimated"]) == (1, 2, 2)
    assert summary["certified_error"] == 2 / 3 and summary["certified_error_with_confidence"] == 0.0
    assert (summary["confidence"], summary["failure_probability"]) == (0.99, 0.01)
    assert settings["projection"] == {"dim": 50, "confidence": 0.99, "seed": 0} and settings["slopes"] == "shared"


def test_the_table_says_what_fits_the_budget_and_what_does_not(recorded):
    outcome = recorded[1]
    assert entry(outcome, "certified") == "1" and entry(outcome, "probably certified") == "2"
    assert entry(outcome, "certified error").startswith("66.67 %")
    assert entry(outcome, "arithmetic") == "float64 on cpu"
    assert entry(outcome, "bounded exactly") == "1: exact bounds fit the budget of 50 rows"
    assert entry(outcome, "estimated") == "2: exact bounds do not fit the budget of 50 rows"
    assert entry(outcome, "error at confidence 0.99").startswith("0.00 % (1 - (certified + probably certified)")
    assert entry(outcome, "confidence 0.99") == "that of each certificate by itself, not of all of them together"
    assert "Exact bounds of 2 of 3 samples do not fit the budget of 50 rows" in outcome.stderr
    assert "a probability of at least 0.99, not for certain" in outcome.stderr


def test_lines_of_the_csv_file_tell_both_kinds_apart(recorded):
    with (recorded[0] / "out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["status"], line["failure_probability"]) for line in lines] == [
        ("probably certified", "0.01"), ("probably certified", "0.01"), ("certified", "0.0")
    ]  # fmt: skip
    assert ["random projections" in line["method"] for line in lines] == [True, True, False]


def test_the_page_states_the_confidence_beside_the_numbers(invoke, mixed):
    assert invoke("report", mixed).exit_code == 0
    page = mixed.with_suffix(".html").read_text(encoding="utf-8")
    for expected in (
        "1 of the 3 samples x tested is certified for certain",
        "2 more of the 3 samples x tested are probably certified",
        "probably certified (66.67 %)",
        "0.99 for each by itself",
        "NOT deterministic: 2 of 3 samples",
    ):
        assert expected in page
    assert "contradicts itself" not in page


def test_batches_change_neither_kind_nor_margin(invoke, mixed, tmp_path):
    single = tmp_path / "single.json"
    outcome = invoke(*MIXED, "--batch-size", 1, "--memory", "8MiB", "--quiet", "--json", single)
    assert (outcome.exit_code, outcome.output) == (0, "")
    first, second = (document_of(path)["certificates"] for path in (mixed, single))
    for key in ("status", "failure_probability", "method"):
        assert [row[key] for row in first] == [row[key] for row in second]
    assert [row["margin"] for row in first] == pytest.approx([row["margin"] for row in second], rel=1e-9)


def test_a_run_is_replayed_with_its_seed(invoke, mixed):
    outcome = invoke("replay", mixed)
    assert outcome.exit_code == 0, outcome.output
    assert entry(outcome, "rows that agree") == "3" and "seed 0" in entry(outcome, "random projections")
    rewrite(mixed, lambda document: document["settings"]["projection"].update(seed=1))
    other = invoke("replay", mixed)
    assert other.exit_code == 1 and entry(other, "rows that differ") == "2"
    rewrite(mixed, lambda document: document["settings"].update(projection=None))
    without = invoke("replay", mixed)
    assert without.exit_code == 1 and "recorded probably certified, now certified" in without.stdout


@pytest.mark.parametrize(
    "projection",
    [
        "50",
        {},
        {"dim": 0, "confidence": 0.99, "seed": 0},
        {"dim": True, "confidence": 0.99, "seed": 0},
        {"dim": 50, "confidence": 1.0, "seed": 0},
        {"dim": 50, "confidence": 1, "seed": 0},
        {"dim": 50, "confidence": 0.99, "seed": None},
    ],
)
def test_projections_that_make_no_sense_are_not_replayed(invoke, mixed, projection):
    rewrite(mixed, lambda document: document["settings"].update(projection=projection))
    outcome = invoke("replay", mixed)
    assert outcome.exit_code == 2 and "projection" in outcome.stderr and "Traceback" not in outcome.output


def test_a_run_goes_on_only_with_the_same_projections(invoke, mixed):
    resumed = ["--json", mixed, "--resume"]
    before = mixed.read_bytes()
    for changed in (["--seed", 1], ["--confidence", 0.9], ["--projection", 60]):
        outcome = invoke(*MIXED, *resumed, *changed)
        assert outcome.exit_code == 2 and "was made with --projection 50 --confidence" in outcome.stderr
    exact = invoke("certify", EXAMPLE, "--eps", "0.1", "--slopes", "shared", *resumed)
    assert exact.exit_code == 2 and "was made with --projection 50" in exact.stderr and "give it again" in exact.stderr
    assert mixed.read_bytes() == before
    further = invoke(*MIXED, *resumed, "--limit", 4)
    assert further.exit_code == 0 and document_of(mixed)["summary"]["estimated"] == 3


def test_require_certified_counts_probable_certificates_if_projections_were_asked_for(invoke, mixed):
    resumed = [*MIXED, "--json", mixed, "--resume"]
    assert invoke(*resumed, "--require-certified", 100).exit_code == 0
    rewrite(mixed, lambda document: document["certificates"][0].update(status="unknown"))
    outcome = invoke(*resumed, "--require-certified", 70)
    assert outcome.exit_code == 1
    assert "Certified 66.67 % of the samples (1 for certain, 1 probably), 70 % were required." in outcome.stderr


def test_if_all_exact_bounds_fit_the_budget_nothing_depends_on_chance(invoke, tmp_path, model_file, data_file):
    """Interval bounds of the single hidden layer are exact, so there is nothing to estimate."""
    path = tmp_path / "out.json"
    run = ["certify", model_file, "--data", data_file, "--eps", "0.02", "--json", path]
    outcome = invoke(*run, "--confidence", "0.999")
    assert outcome.exit_code == 0 and outcome.stderr == ""
    assert entry(outcome, "estimated") == "0: nothing here depends on chance"
    assert entry(outcome, "bounded exactly") == "12: exact bounds fit the budget of 2,000 rows"
    document = document_of(path)
    assert document["settings"]["projection"] == {"dim": 2000, "confidence": 0.999, "seed": 0}
    assert document["summary"]["confidence"] is None and document["summary"]["probably certified"] == 0
    assert document["summary"]["certified_error_with_confidence"] is None
    assert invoke("replay", path).exit_code == 0


def test_runs_without_projections_do_not_mention_them(invoke, tmp_path, model_file, data_file):
    path = tmp_path / "out.json"
    run = ["certify", model_file, "--data", data_file, "--eps", "0.5", "--json", path]
    outcome = invoke(*run, "--require-certified", 100)
    assert outcome.exit_code == 1 and "probably" not in outcome.output and "estimated" not in outcome.output
    assert document_of(path)["settings"]["projection"] is None


def test_documents_of_earlier_versions_are_still_read(invoke, tmp_path, model_file, data_file):
    path = tmp_path / "out.json"
    run = ["certify", model_file, "--data", data_file, "--eps", "0.02", "--json", path]
    assert invoke(*run, "--limit", 5).exit_code == 0

    def age(document):
        versions = document["settings"]["provenance"]["versions"]
        document["settings"]["version"] = versions["autodual"] = "0.0.1"
        del document["settings"]["projection"]
        for key in ("probably certified", "estimated", "confidence", "certified_error_with_confidence"):
            del document["summary"][key]

    rewrite(path, age)
    assert invoke("replay", path).exit_code == 0
    assert invoke("report", path).exit_code == 0
    page = path.with_suffix(".html").read_text()
    assert "contradicts itself" not in page and "probably" not in page
    assert invoke(*run, "--resume").exit_code == 0
    assert len(document_of(path)["certificates"]) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "3"], "give --projection or --confidence with it"),
        (["--projection", "0"], "x>=1"),
        (["--projection", "many"], "not a valid integer"),
        (["--confidence", "1"], "not strictly between 0 and 1"),
        (["--confidence", "0"], "not strictly between 0 and 1"),
        (["--projection", "9", "--seed", "x"], "not a valid integer"),
        (["--projection", "9", "--slopes", "adaptive"], "give --slopes shared, or neither"),
        (["--confidence", "0.9", "--slopes", "adaptive"], "give --slopes shared, or neither"),
        (["--projection", "9", "--norm", "3"], "use an l∞ or l2 ball or a box"),
    ],
)
def test_bad_usage_is_one_line_and_exit_status_2(invoke, model_file, data_file, arguments, message):
    outcome = invoke("certify", model_file, "--data", data_file, "--eps", "0.1", *arguments)
    assert outcome.exit_code == 2 and "Traceback" not in outcome.output
    assert message in outcome.stderr.replace("\n", " ")


def test_shared_slopes_may_be_given_explicitly(invoke, model_file, data_file):
    run = ["certify", model_file, "--data", data_file, "--eps", "0.1", "--limit", 1, "--projection", "9"]
    assert invoke(*run, "--slopes", "shared").exit_code == 0


@pytest.mark.parametrize("command", ["radius", "detect"])
def test_other_commands_take_no_projections(invoke, model_file, command):
    outcome = invoke(command, model_file, "--projection", "9")
    assert outcome.exit_code == 2 and "No such option" in outcome.stderr
