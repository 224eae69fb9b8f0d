"""Learning curves on a run's page: their summary, compared with its definition, and the display of a collapse."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy
import pytest
from autodual_cli.output.epoch_lines import collapse_line, curve_lines, epoch_line
from hypothesis import given
from hypothesis import strategies as st

from autodual.report.learning_summary import learning_summary
from autodual.report.page.charts import grouped_bars
from autodual.report.page.charts.chart import FRAME
from autodual.report.page.training_sections import collapse_alarm, training_sections
from autodual.train.collapse import READING
from autodual.train.journal import Board

Log = list[dict[str, float]]


def row(epoch: int, **figures: float) -> dict[str, float]:
    fixed = {
        "seconds": 1.0,
        "radius": 0.1,
        "learning_rate": 0.1,
        "loss": 1.0,
        "clean_error": 0.1,
        "attacked_error": 0.5,
    }
    return {"epoch": epoch, **fixed, "certified_error": math.nan, "chosen": 0.0, **figures}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_best_final_and_difference_agree_with_their_definitions(errors: list[float]) -> None:
    log = [row(epoch, test_robust_error=error) for epoch, error in enumerate(errors, start=1)]
    (found,) = [one for one in learning_summary(log) if one["set"] == "test"]
    last = numpy.array(errors[-5:])
    assert found["error"] == "robust" and found["best"] == min(errors)
    assert found["best_epoch"] == 1 + errors.index(min(errors)) and found["last"] == len(last)
    assert found["final"] == pytest.approx(last.mean())
    assert found["final_std"] == pytest.approx(last.std(ddof=1), abs=1e-9)
    assert found["difference"] == pytest.approx(last.mean() - min(errors))


def test_validation_chooses_the_network_and_collapsed_epochs_do_not_count() -> None:
    errors = [0.5, 0.4, 0.45, math.nan, 0.2]
    log = [row(epoch, test_clean_error=error, chosen=float(epoch in (1, 3))) for epoch, error in enumerate(errors, 1)]
    log[-1]["collapsed"] = 1.0
    (found,) = [one for one in learning_summary(log) if one["set"] == "test"]
    assert (found["best"], found["best_epoch"], found["chosen"], found["chosen_epoch"]) == (0.4, 2, 0.45, 3)
    assert found["final"] == pytest.approx(0.45) and found["last"] == 3
    unmeasured = [one for one in learning_summary([{**row(1), "chosen": 1.0}]) if one["set"] == "test"]
    assert unmeasured == [] and learning_summary([]) == []


def collapsed_log() -> Log:
    healthy = dict(zip(READING, (0.4, 0.0, *[0.01] * 19, 0.81)))
    failed = dict(zip(READING, (1.0, 1.0, *[0.05] * 20)))
    errors = {"train_clean_error": 0.1, "train_robust_error": 0.4, "test_clean_error": 0.1, "test_robust_error": 0.5}
    return [row(1, chosen=1.0, **healthy, **errors), row(2, **failed, **errors)]


def test_the_page_shows_a_collapse_its_histogram_and_the_curves() -> None:
    log = collapsed_log()
    sections = {section.heading: section for section in training_sections(log, learning_summary(log))}
    assert list(sections) == ["Training", "Learning curves", "Catastrophic overfitting"]
    curves, collapse = sections["Learning curves"], sections["Catastrophic overfitting"]
    assert [line.name for line in curves.parts[0].chart.lines] == ["training", "validation", "test"]
    assert curves.grid is not None and len(curves.grid.lines) == 6 and "nothing was chosen by it" in curves.note
    assert [entry.name for entry in collapse.parts[1].chart.legend] == ["epoch 1", "epoch 2, collapsed"]
    alarm = collapse_alarm(log)
    assert alarm is not None and "epoch 2" in alarm.title and "epoch 1 were restored" in alarm.lines[0]
    plain = [row(1)]
    assert [section.heading for section in training_sections(plain, learning_summary(plain))] == ["Training"]
    assert collapse_alarm(plain) is None and training_sections([], []) == []


def test_bars_of_several_series_stand_side_by_side_in_their_bins() -> None:
    chart = grouped_bars({"one": [0.5, 0.5], "other": [1.0, 0.0]}, ["good", "bad"], "x", "share")
    assert chart is not None and len(chart.bars) == 4
    middle, height = (FRAME.left + FRAME.right) / 2, FRAME.bottom - FRAME.top
    by_place = sorted(chart.bars, key=lambda bar: bar.x)
    assert [bar.colour for bar in by_place] == ["good", "bad", "good", "bad"]
    assert [bar.height / height for bar in by_place] == pytest.approx([0.5, 1.0, 0.5, 0.0])
    assert by_place[1].x + by_place[1].width <= middle <= by_place[2].x
    assert all(left.x + left.width <= right.x for left, right in itertools.pairwise(by_place))
    assert grouped_bars({"none": [0.0, 0.0]}, ["good"], "x", "share") is None


def test_the_console_reports_a_collapse_and_the_errors() -> None:
    log = collapsed_log()
    line = collapse_line(log, 0.2)
    assert line is not None and "Catastrophic overfitting in epoch 2" in line
    assert "from 40.00% to 100.00%" in line and "weights of epoch 1 are restored" in line
    assert collapse_line(log[:1], 0.2) is None and collapse_line([], 0.2) is None
    assert "test errors: clean 10.00%, robust 50.00%" in epoch_line(log[0], 2)
    assert "minibatch errors: robust 40.00%" in epoch_line(log[0], 2) and "certified" not in epoch_line(log[0], 2)
    lines = curve_lines(log)
    assert lines[-2].startswith("test robust error: best 50.00% (epoch 1), chosen 50.00% (epoch 1), final 50.00%")
    assert "nothing was chosen by it" in lines[-1] and "nothing" not in curve_lines([row(1)])[-1]


def test_tensorboard_gets_a_histogram_of_the_changes(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = Board(tmp_path, 0)
    for figures in collapsed_log():
        board.add(figures)
    board.close()
    events: Any = accumulators.EventAccumulator(str(tmp_path), size_guidance={"histograms": 0})
    events.Reload()
    first, second = (event.histogram_value for event in events.Histograms("delta"))
    assert sum(first.bucket) == pytest.approx(1.0) and first.bucket[-1] == pytest.approx(0.81)
    assert second.bucket_limit[-1] == pytest.approx(1.0)
    tags = events.Tags()["scalars"]
    assert "minibatch_robust_error" in tags and "test_robust_error" in tags and "delta_0.00" not in tags
