"""Attacks on cascades: abstentions are no success, wrong labels are, and a label that changes is a contradiction."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.cascades import compiled, line, plane

import autodual
from autodual import Status
from autodual.attacks import Pgd
from autodual.errors import ContradictionError, InvalidInputError

BALL = autodual.LinfBall(0.1)
ATTACK = Pgd(10)


def test_only_another_label_breaks_a_sample() -> None:
    """Class 0 wins where z > 0: -0.15 is surely class 1, and in the set around -0.06; nothing around 0.05 is."""
    cascade = compiled(line(1, 0))
    x = torch.tensor([[-0.06], [0.05], [0.5], [-0.5]]).double()
    found = autodual.certify_cascade(cascade, x, BALL, labels=[0, 0, 0, 0])
    assert [one.status for one in found] == [Status.UNKNOWN, Status.UNKNOWN, Status.CERTIFIED, Status.MISCLASSIFIED]
    found = autodual.attack_cascade(cascade, x, BALL, found, ATTACK)
    assert [one.attacked for one in found] == [True, False, False, True]
    point = found[0].counterexample
    assert point is not None and bool(BALL.at(x[:1]).contains(point.unsqueeze(0)).all())
    (there,) = autodual.certify_cascade(cascade, point.unsqueeze(0), BALL)
    assert there.predicted == 1
    assert [one.counterexample for one in found[1:]] == [None] * 3


def test_a_bracket_holds_for_a_random_cascade() -> None:
    cascade, ball = compiled(plane(0), plane(1)), autodual.LinfBall(0.1)
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(3)).double()
    labels = cascade.stages[0].outputs(x).argmax(1)
    labels[::4] = (labels[::4] + 1) % 3
    found = autodual.certify_cascade(cascade, x, ball, labels)
    found = autodual.attack_cascade(cascade, x, ball, found, ATTACK)
    points = [one.counterexample for one in found]
    assert sum(point is not None for point in points) > 0 and sum(one.certified for one in found) > 0
    assert not any(one.attacked and one.certified for one in found)
    for sample, point in enumerate(points):
        assert found[sample].attacked is (found[sample].status is Status.MISCLASSIFIED or point is not None)
        if point is not None:
            (there,) = autodual.certify_cascade(cascade, point.unsqueeze(0), ball)
            assert there.predicted not in (None, int(labels[sample]))


def test_two_labels_in_one_set_are_a_contradiction() -> None:
    cascade, x = compiled(line(1, 0)), torch.tensor([[0.5]]).double()
    (found,) = autodual.certify_cascade(cascade, x, BALL)
    false = replace(found, predicted=1)
    with pytest.raises(ContradictionError, match=r"sample 0 gets the label 1 .* the label 0") as raised:
        autodual.attack_cascade(cascade, x, BALL, [false], ATTACK)
    evidence = raised.value.evidence
    assert (evidence["label"], evidence["label_at_point"], evidence["stage_at_point"]) == (1, 0, 1)
    assert abs(evidence["point"][0] - 0.5) <= 0.1


def test_without_labels_only_a_contradiction_could_break_a_sample() -> None:
    cascade, x = compiled(line(1, 0), line(1, 0.3)), torch.tensor([[0.05], [0.5]]).double()
    found = autodual.attack_cascade(cascade, x, BALL, autodual.certify_cascade(cascade, x, BALL), ATTACK)
    assert [(one.predicted, one.attacked) for one in found] == [(0, False), (0, False)]
    with pytest.raises(InvalidInputError, match="1 certificates for 2 samples"):
        autodual.attack_cascade(cascade, x, BALL, found[:1], ATTACK)
