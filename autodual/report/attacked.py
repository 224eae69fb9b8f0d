"""Rows and summary of a run that attacks a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodual.report.document import Row, finite_or_none, fraction

if TYPE_CHECKING:
    from autodual.attacks import AttackedSample

ATTACK_STATUSES = ("resists", "broken", "misclassified")


def attack_row(index: int, found: AttackedSample) -> Row:
    """What attacks found around one sample, as JSON data.

    `status` is `misclassified` where the property fails at the sample itself, `broken` where an attack found a point of
    the set at which it fails, and else `resists`, which proves nothing. The worst point itself is not among the data.

    Args:
        index: the sample's position in its data set, from 0.
        found: what `autodual.attacks.evaluate` says of it.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Fgsm, evaluate
        >>> from autodual.report import attack_row
        >>> (found,) = evaluate(torch.nn.Identity(), torch.tensor([[1.0, 0.8]]), autodual.LinfBall(0.2), attacks=Fgsm())
        >>> attack_row(0, found)["status"]
        'broken'
    """
    return {
        "index": index,
        "label": found.label,
        "predicted": found.predicted,
        "status": "misclassified" if found.wrong else "broken" if found.broken else "resists",
        "reached": found.reached,
        "attack": found.attack,
        "member": found.member,
        "margin": finite_or_none(found.margin),
        "clean_margin": finite_or_none(found.clean_margin),
        "distance_linf": finite_or_none(found.linf),
        "distance_l2": finite_or_none(found.l2),
        "distance_l1": finite_or_none(found.l1),
        "broken_by": list(found.broken_by),
        "broken_in": list(found.broken_in),
        "warnings": [],
    }


def summarise_attacks(
    rows: Sequence[Row],
    seconds: float,
    attacks: Sequence[str] = (),
    members: Sequence[str] = (),
    radii: Sequence[float] = (),
) -> dict[str, Any]:
    """Counts and errors, as fractions of the samples processed.

    `robust_error` counts the samples that are misclassified without any change, too; it is at most the true one.
    `attacks` and `members` hold the same for each attack, and each member of a union, alone. `warnings` are what makes
    the robust error doubtful.

    Args:
        rows: as `attack_row` makes them.
        seconds: of work.
        attacks: their names.
        members: of a union, in words; none for other sets.
        radii: that were tried one after the other, of which rows have the `radius` that broke a sample; the `curve` is
            the share of samples that resist at each.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Fgsm, evaluate
        >>> from autodual.report import attack_row, summarise_attacks
        >>> x, ball = torch.tensor([[1.0, 0.8], [1.0, 0.0]]), autodual.LinfBall(0.2)
        >>> found = evaluate(torch.nn.Identity(), x, ball, attacks={"fgsm": Fgsm()})
        >>> summary = summarise_attacks([attack_row(*pair) for pair in enumerate(found)], 0.5, ["fgsm"])
        >>> summary["robust_error"], summary["attacks"]
        (0.5, {'fgsm': {'broken': 1, 'error': 0.5}})
    """
    count, statuses = len(rows), Counter(row["status"] for row in rows)
    wrong = statuses["misclassified"]
    by = {name: sum(name in row["broken_by"] for row in rows) for name in attacks}
    inside = {words: sum(words in row["broken_in"] for row in rows) for words in members}
    broken_at = [row["radius"] for row in rows if radii and row["radius"] is not None]
    broken_within = [wrong + sum(radius <= limit for radius in broken_at) for limit in radii]
    left = [fraction(count - broken, count) for broken in broken_within]
    return {
        "count": count,
        "clean_error": fraction(wrong, count),
        "robust_error": fraction(wrong + statuses["broken"], count),
        "seconds": round(seconds, 3),
        **{status: statuses[status] for status in ATTACK_STATUSES},
        "attacks": {name: _alone(broken, wrong, count) for name, broken in by.items()},
        "members": {words: _alone(broken, wrong, count) for words, broken in inside.items()},
        **({"curve": [{"radius": one, "resist": share} for one, share in zip(radii, left)]} if radii else {}),
        "warnings": sorted({warning for row in rows for warning in row["warnings"]}),
    }


def _alone(broken: int, wrong: int, count: int) -> dict[str, Any]:
    return {"broken": broken, "error": fraction(broken + wrong, count)}
