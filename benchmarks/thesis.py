"""The thesis' experiments at a chosen size, by table or figure, with measured and published values.

    python benchmarks/thesis.py 3.1 4.3 … --data-dir DIR [--epochs 2] [--limit 5000] [--test 500]

Each cell says `measured (published)`; errors and accuracies are percentages, as in the thesis. Schedules are scaled to
`--epochs`; 0 means the thesis' own number. Rows without data in the folder, or with networks of more than `--largest`
parameters, say 'not run'. One thread. docs/results/thesis_NAME.json (thesis_NAME_WORDS.json with `--only WORDS`) is
written after each row, and also holds the log of every epoch.

Figures of chapter 3 are told in numbers. Figures 3.1, 3.2, 3.15 and 3.16 are drawings; Figure 3.19 is
`projection_accuracy.py errors`, Figure 3.20 `scaling.py one-layer`. Tables 4.2 and 4.5 are settings, those of 4.1 and
Figure 4.7; Figures 4.1 and 4.8 to 4.21 are curves of the runs of 4.10 to 4.13, which their files hold.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from pathlib import Path

import torch
from measure import calibration, save, say, seconds
from thesis_tables import chapter_3, chapter_4, chapter_5, moved_mass, overfitting
from thesis_tables.size import Size
from thesis_tables.table import Experiment, Table, published_tables

EXPERIMENTS: dict[str, Experiment] = {
    **chapter_3.EXPERIMENTS,
    **chapter_4.EXPERIMENTS,
    **overfitting.EXPERIMENTS,
    **moved_mass.EXPERIMENTS,
    **chapter_5.EXPERIMENTS,
}
TABLES: dict[str, Table] = {**published_tables(), **chapter_3.FIGURES, **chapter_4.FIGURES, **moved_mass.FIGURES}


def run(name: str, size: Size) -> None:
    """Run one experiment, save each row as it comes, and print the table."""
    table, unit = TABLES[name], seconds(calibration, 3)
    options = {key: value for key, value in asdict(size).items() if key not in ("sets", "data_dir", "published")}
    words = re.findall(r"[\w.+-]+", size.only) + (["published"] if size.published else [])
    file = "_".join([f"thesis_{name}", *words])
    for row, values in EXPERIMENTS[name](table, size):
        table.fill(row, values)
        save(file, {"thesis": table.title, "size": options, "C": unit, "lines": table.lines()})
    say(f"\n{table.markdown()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(EXPERIMENTS)}; all by default")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets' files")
    parser.add_argument("--published", type=Path, metavar="DIR", help="folder of networks for Table 5.1")
    parser.add_argument("--epochs", type=int, default=2, help="of each training run, 0 for the thesis' number")
    parser.add_argument("--limit", type=int, default=5000, help="training samples, 0 for all")
    parser.add_argument("--test", type=int, default=500, help="test samples")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each setting that the thesis repeats")
    parser.add_argument("--stages", type=int, default=1, help="of cascades, as far as they help; 1 for single networks")
    parser.add_argument("--largest", type=int, default=500_000, help="parameters of a network that is still trained")
    parser.add_argument("--arch", default="", help="trained in place of a larger network; such rows name it")
    parser.add_argument("--instead", choices=("", "mnist"), default="", help="data in place of chapter 4's CIFAR-10")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="rows (networks of chapter 5) alone that hold one of them, A,B"
    )
    parser.add_argument("--plain", action="store_true", help="CIFAR-10 without crops and flips")
    parser.add_argument("--attack-steps", type=int, default=0, help="of chapter 5's training, 0 for the thesis' number")
    parser.add_argument("--gentle", action="store_true", help="a radius that grows at first, and Adam in chapter 5")
    parser.add_argument("--restarts", type=int, default=10, help="of the evaluation's attacks in chapters 4 and 5")
    parser.add_argument("--queries", type=int, default=5000, help="of the search without gradients in chapter 5")
    parser.add_argument("--few", type=int, default=5, help="images for the thesis' attack on transport plans, 0: none")
    parser.add_argument("--exact-seconds", type=float, default=60.0, help="for each sample that is verified exactly")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(EXPERIMENTS))
    if unknown:
        parser.error(f"no experiment is called {unknown[0]}; there are {', '.join(EXPERIMENTS)}")
    torch.set_num_threads(1)
    chosen = {key: value for key, value in vars(options).items() if key != "names"}
    size = Size(**chosen)
    for name in options.names or list(EXPERIMENTS):
        run(name, size)


if __name__ == "__main__":
    main()
