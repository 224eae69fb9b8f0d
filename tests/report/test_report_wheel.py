"""The wheel contains the files beside Python code that an installed package needs."""

from __future__ import annotations

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

import autodual

ROOT = Path(autodual.__file__).parent.parent


def test_a_wheel_has_every_template_of_the_pages(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    names = set(zipfile.ZipFile(built).namelist())
    folder = ROOT / "autodual/report/page/templates"
    wanted = {path.relative_to(ROOT).as_posix() for path in folder.iterdir()}
    assert wanted and wanted <= names
    assert {"autodual/py.typed", "autodual_cli/py.typed"} <= names
