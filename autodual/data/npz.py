"""NumPy's `.npz` files: an array of inputs, and one of labels unless there are none."""

from __future__ import annotations

import io
import zipfile

import numpy

from autodual.errors import DataError

_INPUTS = ("x", "images")
_LABELS = ("y", "labels")


def parse_npz(name: str, content: bytes) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """The inputs `x` or `images`, and the labels `y` or `labels` or None, of a file's content; `name` is for messages.

    Raises:
        DataError: it is no such file, is damaged, holds pickled objects, or does not hold exactly these arrays.
    """
    try:
        # Without pickles an array of objects cannot be read, so a data file cannot execute code.
        with numpy.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in (*_INPUTS, *_LABELS) if key in archive.files}
            found = list(archive.files)
    except (ValueError, OSError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        raise DataError(f"'{name}' is damaged, holds pickled objects or is no .npz file.") from None
    inputs, labels = ([key for key in keys if key in arrays] for keys in (_INPUTS, _LABELS))
    if len(inputs) != 1 or len(labels) > 1:
        raise DataError(f"'{name}' holds the arrays {found}; expected one of 'x', 'images' and one of 'y', 'labels'.")
    return arrays[inputs[0]], arrays[labels[0]] if labels else None
