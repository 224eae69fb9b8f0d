"""UCI HAR, human activity recognition with smartphones: 561 features per sample, one line of text, and an activity."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy

from autodual.data.hashed_files import ReadFiles, find_files
from autodual.errors import DataError
from autodual.limits import Budget

_SUBFOLDER = "UCI HAR Dataset"
_FEATURES = 561
_LABELS = {str(label).encode(): label - 1 for label in range(1, 7)}
_FEATURES_TEXT, _LABELS_TEXT = Budget(2**27), Budget(2**23)
"""Bytes of text, which take many times as much memory to parse; the published files have half as many, or far fewer."""

_LONGEST_LINE = 40_000
_ADVICE = "unpack the archive of UCI HAR (https://archive.ics.uci.edu/dataset/240) there"


def read_part(directory: Path, part: str, files: ReadFiles) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Features `[N, 561]` (float32, as stored) and labels `[N]` (int64, 0 to 5) of the part `train` or `test`.

    Raises:
        DataError: a file is missing or damaged.
    """
    names = [f"{part}/{kind}_{part}.txt" for kind in "Xy"]
    features, labels = find_files(directory, names, subfolder=_SUBFOLDER, advice=_ADVICE)
    return _features(features, files.read(features)), _labels(labels, files.read(labels))


def _features(path: Path, content: bytes) -> numpy.ndarray:
    _FEATURES_TEXT.require(str(path), "its text", len(content))
    if not content.strip():
        raise DataError(f"'{path}' is empty; {_ADVICE}.")
    if re.search(rb"[^\n]{%d}" % _LONGEST_LINE, content):
        raise DataError(f"'{path}' is damaged: not all of its lines are {_FEATURES} numbers.")
    try:
        features = numpy.loadtxt(io.BytesIO(content), numpy.float32, comments=None, ndmin=2, encoding="ascii")
    except ValueError:
        raise DataError(f"'{path}' is truncated or damaged: not all of its lines are {_FEATURES} numbers.") from None
    if features.shape[1] != _FEATURES:
        raise DataError(f"The lines of '{path}' hold {features.shape[1]} numbers; expected {_FEATURES}.")
    return features


def _labels(path: Path, content: bytes) -> numpy.ndarray:
    """The file's labels 1 to 6 as 0 to 5, the networks' outputs."""
    _LABELS_TEXT.require(str(path), "its text", len(content))
    words = content.split()
    for index, word in enumerate(words):
        if word not in _LABELS:
            found = word.decode("ascii", "replace")
            raise DataError(f"The label of sample {index} in '{path}' is {found[:20]}; expected 1 to 6.")
    return numpy.array([_LABELS[word] for word in words], dtype=numpy.int64)
