"""A cactus plot: how many instances are decided within how much time each."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from autodual.errors import InvalidInputError
from autodual.files.writing import write_bytes
from autodual.report.benchmark_score import DECIDED

_KINDS = (".svg", ".png", ".pdf")


def require_plotting(path: Path) -> None:
    """Fail before the work where the plot could not be drawn.

    Raises:
        InvalidInputError: the file's name is of no kind of picture, or matplotlib is not installed.
    """
    if path.suffix.lower() not in _KINDS:
        raise InvalidInputError(f"--plot '{path}' must end in {', '.join(_KINDS[:-1])} or {_KINDS[-1]}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InvalidInputError("--plot needs matplotlib; install it with: pip install 'autodual[bench]'.") from None


def write_plot(path: str | PathLike[str], rows: Sequence[dict[str, Any]], *, overwrite: bool = False) -> None:
    """Draw the times of decided instances, sorted, as a staircase of how many were decided by then.

    Raises:
        DataError: the file cannot be written, or exists and is not to be overwritten.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4))
    for status in DECIDED:
        times = sorted(row["seconds"] for row in rows if row["status"] == status)
        axis.step([0.01, *times], range(len(times) + 1), where="post", label=f"{status} ({len(times)})")
    axis.set(xscale="log", xlabel="seconds an instance", ylabel="instances decided", ylim=(0, None))
    axis.set_title(f"{len(rows)} instances")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    picture = io.BytesIO()
    kind = Path(path).suffix.lower()[1:]
    figure.savefig(picture, format=kind, metadata={"Date": None} if kind == "svg" else None)
    pyplot.close(figure)
    write_bytes(path, picture.getvalue(), overwrite=overwrite)
