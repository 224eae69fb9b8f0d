"""`autodual attack` warns when its figures cannot be trusted: in the table, the document and the page, once per run."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture
def large(tmp_path, network):
    """The small network with scores so large that the gradient of cross-entropy vanishes."""
    with torch.no_grad():
        for parameter in network[2].parameters():
            parameter.mul_(1e6)
    torch.save(network, tmp_path / "large.pt")
    return tmp_path / "large.pt"


def attacked(invoke, path, model, data_file, *arguments) -> dict:
    outcome = invoke("attack", model, "--data", data_file, "--eps", 0.3, "--json", path, *arguments)
    assert outcome.exit_code == 0, outcome.output
    document = json.loads(path.read_text())
    for words in document["summary"]["warnings"]:
        assert words in outcome.output
    return document


def test_an_attack_with_vanishing_gradients_is_doubted(invoke, tmp_path, large, data_file) -> None:
    path = tmp_path / "found.json"
    document = attacked(invoke, path, large, data_file, "--attack", "pgd:objective=cross-entropy", "--skip", 1)
    warnings = document["summary"]["warnings"]
    assert any("Cross-entropy is saturated" in words for words in warnings)
    assert any("sees outputs only refutes" in words for words in warnings)
    assert sorted(document["samples"][0]["warnings"]) == warnings
    assert not any(row["warnings"] for row in document["samples"][1:])
    assert (reported := invoke("report", path)).exit_code == 0, reported.output
    assert "The robust error may be far too low" in path.with_suffix(".html").read_text()
    assert (replayed := invoke("replay", path)).exit_code == 0, replayed.output


def test_a_sound_evaluation_is_not_doubted(invoke, tmp_path, model_file, data_file) -> None:
    document = attacked(invoke, tmp_path / "found.json", model_file, data_file, "--attack", "apgd:objective=margin")
    assert document["summary"]["warnings"] == []


def test_a_resumed_run_does_not_repeat_the_checks(invoke, tmp_path, large, data_file) -> None:
    path, attack = tmp_path / "found.json", ("--attack", "pgd:objective=cross-entropy", "--batch-size", 6)
    before = attacked(invoke, path, large, data_file, *attack, "--limit", 6)["summary"]["warnings"]
    after = attacked(invoke, path, large, data_file, *attack, "--resume")
    assert before and after["summary"]["warnings"] == before
    assert after["summary"]["count"] == 12
