"""Documents: fractions and nulls follow the schema, files are written whole, only runs with equal settings resume."""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import pytest
import torch

from autodual.errors import DataError, InvalidInputError
from autodual.report import (
    build_document,
    certificate_row,
    detection_row,
    format_table,
    radius_row,
    read_document,
    summarise_certificates,
    summarise_detections,
    summarise_radii,
    write_csv,
    write_document,
)
from autodual.report.probability import complement

SCHEMA = "autodual.certify/1"


class Status(str, Enum):
    CERTIFIED = "certified"
    PROBABLY_CERTIFIED = "probably certified"
    FALSIFIED = "falsified"
    UNKNOWN = "unknown"
    MISCLASSIFIED = "misclassified"


@dataclass(frozen=True)
class Outcome:
    """The fields of a certificate that reports read."""

    status: Status = Status.CERTIFIED
    predicted: int | None = 1
    label: int | None = 1
    margins: tuple[float, ...] = (0.5, 0.25)
    margin: float = 0.25
    rounding_error: float = 1e-6
    method: str = "dual"
    arithmetic: str = "float32"
    assumptions: tuple[str, ...] = ()
    failure_probability: float = 0.0
    counterexample: torch.Tensor | None = None
    original: torch.Tensor | None = None
    reached: int | None = None
    attacked: bool | None = None
    exact: None = None
    positions: None = None
    execution: str = "float32"
    execution_error: float | None = None
    execution_reason: str = ""
    decided_by: str = ""
    stage: str = ""
    parts: int | None = None


def rows_of(*outcomes: Outcome) -> list[dict]:
    return [certificate_row(index, outcome) for index, outcome in enumerate(outcomes)]


def document(rows, **settings):
    return build_document(SCHEMA, settings, summarise_certificates(rows, 1.0), rows)


def test_errors_are_fractions_of_all_samples():
    rows = rows_of(
        Outcome(),
        Outcome(Status.UNKNOWN, margin=-1.0),
        Outcome(Status.FALSIFIED, counterexample=torch.tensor([0.5]), original=torch.tensor([0.25]), reached=2),
        Outcome(Status.MISCLASSIFIED, predicted=0),
    )
    summary = summarise_certificates(rows, 2.0)
    assert summary["count"] == 4
    assert summary["clean_error"] == 0.25
    assert summary["certified_error"] == 0.75
    assert [summary[status.value] for status in Status] == [1, 0, 1, 1, 1]
    assert (summary["estimated"], summary["failure_probability"]) == (0, 0.0)
    assert summary["confidence"] is None and summary["certified_error_with_confidence"] is None
    assert (rows[2]["counterexample"], rows[2]["original"], rows[2]["reached"]) == ([0.5], [0.25], 2)


def test_probable_certificates_have_an_error_of_their_own():
    """With certificates of both kinds, each kind is counted separately."""
    probable = Outcome(Status.PROBABLY_CERTIFIED, failure_probability=0.01)
    rows = rows_of(Outcome(), probable, probable, Outcome(Status.UNKNOWN, margin=-1.0, failure_probability=0.01))
    assert [row["failure_probability"] for row in rows] == [0.0, 0.01, 0.01, 0.01]
    summary = summarise_certificates(rows, 1.0)
    assert (summary["certified"], summary["probably certified"], summary["estimated"]) == (1, 2, 3)
    assert summary["certified_error"] == 0.75 and summary["certified_error_with_confidence"] == 0.25
    assert summary["confidence"] == 0.99 and summary["failure_probability"] == 0.01


def test_estimates_that_certify_nothing_still_name_their_confidence():
    summary = summarise_certificates(rows_of(Outcome(Status.UNKNOWN, margin=-1.0, failure_probability=0.1)), 1.0)
    assert (summary["certified_error"], summary["certified_error_with_confidence"]) == (1.0, 1.0)
    assert summary["confidence"] == 0.9


@pytest.mark.parametrize(
    ("probability", "rest"), [(0, 1.0), (0.01, 0.99), (0.99, 0.01), (0.1, 0.9), (1e-7, 0.9999999), (1, 0.0)]
)
def test_complements_are_rounded_as_a_person_would_write_them(probability, rest):
    assert complement(probability) == rest


@pytest.mark.parametrize(("probability", "rest"), [(-1, 1.0), (10**400, 0.0), (1e300, 0.0)])
def test_invalid_probabilities_are_clamped(probability, rest):
    assert complement(probability) == rest


def test_without_labels_there_is_no_clean_error():
    summary = summarise_certificates(rows_of(Outcome(label=None), Outcome(Status.UNKNOWN, label=None)), 1.0)
    assert summary["clean_error"] is None
    assert summary["certified_error"] == 0.5


def test_without_samples_there_is_no_error_rate():
    summary = summarise_certificates([], 0.0)
    assert summary["certified_error"] is None and summary["clean_error"] is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_margins_that_are_not_finite_are_null(value):
    row = certificate_row(0, Outcome(Status.UNKNOWN, margin=value, margins=(value, 1.0)))
    assert row["margin"] is None and row["margins"] == [None, 1.0]
    json.dumps(row, allow_nan=False)


def test_radii_and_their_quantiles():
    rows = [radius_row(i, None, radius) for i, radius in enumerate([0.0, 0.1, 0.2, 0.3, math.nan])]
    summary = summarise_radii(rows, 1.0)
    assert summary["quantiles"] == {"0": 0.0, "0.25": 0.0, "0.5": 0.1, "0.75": 0.2, "1": 0.3}
    assert summary["certified_somewhere"] == 3
    assert summarise_radii([], 0.0)["mean"] is None


def test_detections():
    summary = summarise_detections([detection_row(0, 1, True), detection_row(1, None, False)], 1.0)
    assert (summary["flagged"], summary["flagged_fraction"]) == (1, 0.5)


def test_a_document_resumes_with_the_same_settings_only(tmp_path):
    path = tmp_path / "out.json"
    assert read_document(path, SCHEMA, {}) == ([], 0.0)
    rows = rows_of(Outcome(), Outcome())
    write_document(path, document(rows[::-1], eps=0.1, batch_size=1))
    assert read_document(path, SCHEMA, {"eps": 0.1, "batch_size": 7}) == (rows, 1.0)
    with pytest.raises(InvalidInputError, match=r"made with eps = 0.1, and this run has 0.2; use the same settings"):
        read_document(path, SCHEMA, {"eps": 0.2, "batch_size": 1})
    with pytest.raises(InvalidInputError, match="made with slopes = nothing, and this run has 'shared'"):
        read_document(path, SCHEMA, {"eps": 0.1, "slopes": "shared"})


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", "[" * 100_000, '{"schema": "other"}', '{"schema": "autodual.certify/1"}',
     '{"schema": "autodual.certify/1", "settings": {}, "summary": {"seconds": 1}, "certificates": [{"index": "a"}]}',
     '{"schema": "autodual.certify/1", "settings": {}, "summary": {}, "certificates": []}',
     '{"schema": "autodual.certify/1", "settings": {}, "summary": {"seconds": 1}, '
     '"certificates": [{"index": 1}, {"index": 1}]}',
     '{"schema": "autodual.certify/1", "settings": {}, "summary": {"seconds": 1}, "certificates": [{"index": 1}]}'],
)  # fmt: skip
def test_other_files_cannot_be_resumed_from(tmp_path, content):
    path = tmp_path / "out.json"
    path.write_text(content)
    with pytest.raises(DataError, match="no run can be resumed from it"):
        read_document(path, SCHEMA, {})


def test_a_failed_write_leaves_the_old_file_and_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    write_document(path, {"old": 1})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="cannot be written: No space left"):
        write_document(path, {"new": 1}, overwrite=True)
    monkeypatch.undo()
    assert json.loads(path.read_text()) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.json"]
    with pytest.raises(DataError, match="cannot be written"):
        write_document(tmp_path / "absent" / "out.json", {})


def test_csv_has_a_line_per_sample_and_no_lists(tmp_path):
    path = tmp_path / "out.csv"
    rows = rows_of(Outcome(), replace(Outcome(), label=None, margin=math.nan))
    write_csv(path, rows[::-1])
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["index"] for row in read] == ["0", "1"]
    assert read[1]["label"] == "" and read[1]["margin"] == ""
    assert "margins" not in read[0] and "counterexample" not in read[0]
    with pytest.raises(DataError, match="exists already"):
        write_csv(path, [])
    write_csv(path, [], overwrite=True)
    assert path.read_text() == "index\n"


def test_tables_are_plain_in_a_pipe_and_ruled_on_a_terminal():
    entries = [("one", "1"), ("longer", "[2]")]
    assert format_table("Title", entries, terminal=False) == "Title\n  one     1\n  longer  [2]"
    ruled = format_table("Title", entries, terminal=True)
    assert "│" in ruled and "[2]" in ruled


def test_documents_begin_with_their_schema(tmp_path: Path):
    rows = rows_of(Outcome())
    assert list(document(rows)) == ["schema", "settings", "summary", "certificates"]
