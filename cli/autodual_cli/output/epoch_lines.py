"""What `autodual train` prints of its epochs, and of all of them at the end."""

from __future__ import annotations

from collections.abc import Sequence

from autodual.report.learning_summary import CURVES, learning_summary
from autodual.train.collapse import COLLAPSED, ERROR
from autodual.train.journal import Figures

_HELD_OUT = ("clean", "attacked", "certified")


def epoch_line(row: Figures, epochs: int) -> str:
    """One epoch in words.

    Args:
        row: of the log.
        epochs: of the whole run.
    """
    text = (
        f"epoch {row['epoch']:.0f}/{epochs}  {row['seconds']:.0f} s  radius {row['radius']:.4g}  loss {row['loss']:.4f}"
    )
    columns = {
        "held-out": {name: f"{name}_error" for name in _HELD_OUT},
        "training": {name: CURVES["training", name] for name in ("clean", "robust")},
        "test": {name: CURVES["test", name] for name in ("clean", "robust")},
        "minibatch": {"robust": ERROR},
    }
    for of, names in columns.items():
        found = [(name, row.get(column)) for name, column in names.items()]
        known = ", ".join(f"{name} {value:.2%}" for name, value in found if value is not None and value == value)
        text += f"  {of} errors: {known}" if known else ""
    return text


def collapse_line(rows: Sequence[Figures], drop: float) -> str | None:
    """Plain words about a collapse in the last epoch of the log, or None if there was none.

    Args:
        rows: the log.
        drop: the recipe's `collapse.drop`.
    """
    if not rows or not rows[-1].get(COLLAPSED):
        return None
    before, last = rows[-2], rows[-1]
    return (
        f"Catastrophic overfitting in epoch {last['epoch']:.0f}: the robust error of a training minibatch rose from "
        f"{before[ERROR]:.2%} to {last[ERROR]:.2%}, by more than collapse.drop = {drop:.2%}. The weights of epoch "
        f"{before['epoch']:.0f} are restored, and training ends."
    )


def curve_lines(rows: Sequence[Figures]) -> list[str]:
    """Best, chosen and final errors of each set, a line each.

    Args:
        rows: the log.
    """
    lines = []
    for row in learning_summary(rows):
        spread = "" if row["final_std"] is None else f" ± {row['final_std']:.2%}"
        chosen = "" if row["chosen"] is None else f", chosen {row['chosen']:.2%} (epoch {row['chosen_epoch']})"
        lines.append(
            f"{row['set']} {row['error']} error: best {row['best']:.2%} (epoch {row['best_epoch']}){chosen}, final "
            f"{row['final']:.2%}{spread} (last {row['last']}), difference {row['difference']:.2%}"
        )
    if any(line.startswith("test") for line in lines):
        lines.append("The best error on the test set is a figure for comparison; nothing was chosen by it.")
    return lines
