"""The file of counterexamples: it gives the rows their points back; damaged files are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from autodual.errors import DataError
from autodual.report.point_file import with_points, without_points, write_points

POINTS = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)


def row(index: int, status: str = "broken", **more: object) -> dict:
    return {"index": index, "label": 1, "predicted": None, "reached": 2, "status": status, **more}


ROWS = [
    row(7, counterexample=POINTS[0], original=POINTS[1]),
    row(5, "resists"),
    row(2, counterexample=POINTS[1], original=POINTS[0]),
]


def test_points_come_back_to_their_rows(tmp_path: Path) -> None:
    write_points(tmp_path / "p.npz", ROWS)
    with numpy.load(tmp_path / "p.npz") as held:
        assert held["index"].tolist() == [2, 7] and held["predicted"].tolist() == [-1, -1]
    plain = [without_points(one) for one in ROWS]
    for given, found in zip(ROWS, with_points(plain, tmp_path / "p.npz"), strict=True):
        assert given.keys() == found.keys()
        for key in ("counterexample", "original"):
            assert numpy.array_equal(given.get(key, 0), found.get(key, 0))


def test_a_file_without_points_is_valid(tmp_path: Path) -> None:
    write_points(tmp_path / "p.npz", ROWS[1:2])
    assert with_points(ROWS[1:2], tmp_path / "p.npz") == ROWS[1:2]


def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    write_points(tmp_path / "p.npz", ROWS)
    with pytest.raises(DataError, match="exists already"):
        write_points(tmp_path / "p.npz", ROWS)


@pytest.mark.parametrize(
    "change",
    [
        {"index": numpy.zeros(2)},
        {"index": numpy.zeros(3, numpy.int64)},
        {"index": numpy.int64(3)},
        {"point": POINTS[:, :2]},
        {"point": POINTS * numpy.nan, "original": POINTS},
        {"point": POINTS.astype(numpy.int64), "original": POINTS.astype(numpy.int64)},
        {"point": numpy.float32(1), "original": numpy.float32(1)},
        {"point": numpy.array([{}, {}]), "original": numpy.array([{}, {}])},
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, change: dict) -> None:
    arrays = {"index": numpy.array([2, 7]), "point": POINTS, "original": POINTS, **change}
    numpy.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(DataError, match=r"p\.npz' is (no file of points|damaged)"):
        with_points(ROWS, tmp_path / "p.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive"])
def test_files_that_are_not_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        with_points(ROWS, tmp_path / "p.npz")
    with pytest.raises(DataError, match="cannot be read"):
        with_points(ROWS, tmp_path / "absent.npz")
