"""Outcomes print briefly and show as tables in notebooks; reporting progress does not change results."""

from __future__ import annotations

import torch
from torch import nn

import autodual
from autodual.progress import tracked


def _classifier() -> tuple[autodual.DualNetwork, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    x = torch.rand(40, 4).double()
    return autodual.compile_dual(model, x), x, torch.arange(40) % 3


def test_a_list_of_certificates_prints_as_counts_and_shows_as_a_table() -> None:
    dual, x, labels = _classifier()
    found = autodual.certify(dual, x, autodual.LinfBall(0.02), labels=labels)
    statuses = [str(certificate.status) for certificate in found]
    for status in set(statuses):
        assert f"{statuses.count(status)} {status}" in repr(found)
    shown = found._repr_html_()
    assert shown.count("<tr>") == 1 + 20 + 1 and "… and 20 more" in shown
    assert isinstance(found, list) and len(found) == 40


def test_a_certificate_prints_in_one_short_line() -> None:
    dual, x, labels = _classifier()
    certificate = autodual.certify(dual, x[:1], autodual.LinfBall(0.01), labels=labels[:1])[0]
    assert len(repr(certificate)) < 120 and str(certificate.status) in repr(certificate)
    shown = certificate._repr_html_()
    assert "<th>rounding error</th>" in shown and certificate.method in shown


def test_text_of_specifications_is_escaped_in_tables() -> None:
    dual, x, _ = _classifier()
    spec = autodual.specs.parse_specification("y0 > y1")
    shown = autodual.certify(dual, x[:1], autodual.LinfBall(0.01), spec=spec)[0]._repr_html_()
    assert "y0 &gt; y1" in shown and "y0 > y1" not in shown


def test_progress_is_reported_and_changes_no_certificate() -> None:
    dual, x, labels = _classifier()
    ball, seen = autodual.LinfBall(torch.linspace(0, 0.1, 40).double()), []
    known = dual.bounds(x, ball, slopes="adaptive")
    plain = autodual.certify(dual, x, ball, labels=labels, known=known)
    told = autodual.certify(
        dual, x, ball, labels=labels, known=known, progress=lambda done, total, words: seen.append((done, total))
    )
    assert [one.status for one in plain] == [one.status for one in told]
    margins = [torch.tensor([one.margin for one in found]) for found in (plain, told)]
    assert torch.allclose(*margins, rtol=1e-12, atol=1e-12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and seen[-1] == (40, 40) and len(seen) > 1


def test_radii_and_verdicts_report_their_progress_too(tmp_path) -> None:
    dual, x, labels = _classifier()
    steps, cases = [], []
    radii = autodual.certified_radius(
        dual, x, autodual.LinfBall, labels=labels, progress=lambda *told: steps.append(told)
    )
    assert torch.equal(radii, autodual.certified_radius(dual, x, autodual.LinfBall, labels=labels))
    assert steps[-1][:2] == (40, 40)
    file = tmp_path / "property.vnnlib"
    declared = "".join(f"(declare-const X_{place} Real)" for place in range(4))
    declared += "".join(f"(declare-const Y_{place} Real)" for place in range(3))
    bounds = "".join(f"(assert (>= X_{place} 0)) (assert (<= X_{place} 0.1))" for place in range(4))
    file.write_text(f"{declared}{bounds}(assert (or (and (>= Y_0 100)) (and (>= Y_1 100))))")
    verdict = autodual.verify(dual, autodual.load_property(file), progress=lambda *told: cases.append(told))
    assert str(verdict.status) == "unsat" and repr(verdict).startswith("Verdict(unsat")
    assert cases[-1][0] == cases[-1][1]


def test_a_bar_goes_to_standard_error(capsys) -> None:
    with tracked(True, 2) as advance:
        advance(2, "samples")
    told = capsys.readouterr()
    assert told.out == "" and "2/2" in told.err


def test_label_maps_print_briefly_too() -> None:
    x = torch.zeros(1, 2, 16, 16)
    x[:, 0] = 1
    (found,) = autodual.certify(autodual.compile_dual(torch.nn.Identity()), x, autodual.LinfBall(0.1))
    assert repr(found) == f"Certificate(certified, margin={found.margin:.4g}, positions=256/256)"
    assert repr(found.positions) == "Positions(256 of 256 certified, 256 correct)"
    assert "… and 244 more" in found._repr_html_() and len(found._repr_html_()) < 2000
