"""All formats that have a generator of hostile files."""

from __future__ import annotations

from support.hostile.arrays import CIFAR, HAR, IDX, NPY, NPZ, SVHN
from support.hostile.documents import DOCUMENTS
from support.hostile.elsewhere import ELSEWHERE
from support.hostile.exported import EXPORTED
from support.hostile.format import Format
from support.hostile.pickles import PICKLES
from support.hostile.words import SPECIFICATIONS

_HERE = (PICKLES, EXPORTED, NPZ, NPY, IDX, CIFAR, SVHN, HAR, DOCUMENTS, SPECIFICATIONS)
FORMATS: tuple[Format, ...] = (*_HERE, *ELSEWHERE)
