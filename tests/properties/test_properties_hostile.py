"""Files that claim or expand to far more than they hold are refused in one sentence, before memory is allocated."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.hostile_vnnlib import Writer, hostile_files

from autodual.errors import AutodualError
from autodual.properties import load_property

#: Files of some megabytes; the test of all formats in tests/cli reads these.
LARGE = ("many", "large", "long", "bomb", "spaces", "strict", "sum", "wide", "distinct", "blank", "comments", "words")
SMALL = {name: writer for name, writer in hostile_files() if not any(part in name for part in LARGE)}
#: Unusual but harmless files, which are read.
READ = ("doubled term", "doubled conjunction", "doubled disjunction")


@pytest.mark.parametrize("name", SMALL)
def test_hostile_files_end_in_one_sentence(name: str, tmp_path: Path) -> None:
    writer: Writer = SMALL[name]
    path = tmp_path / name
    writer(path)
    began = time.process_time()
    if name.startswith(READ):
        assert len(load_property(path).cases) == 1
    else:
        with pytest.raises(AutodualError) as caught:
            load_property(path)
        message = str(caught.value)
        assert "\n" not in message and len(message.removeprefix(f"'{path}'")) < 300
    assert time.process_time() - began < 10
