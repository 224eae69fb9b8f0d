"""Train a network by a recipe and certify it, within a time limit: for a GPU that is lent for minutes.

    python train_and_certify.py recipes/mnist_linf_0.1_seven_layer_gpu.toml --data-dir DIR --output RUN \
      [--minutes 9] [--certify-minutes 1.5] [--device cuda] [-- OPTIONS OF TRAIN]

Training goes on with what RUN holds, and is stopped when only the minutes of the certification are left; the best
network so far is then attacked and certified on the test set (RUN/evaluation). Call it again to go on with either.
Nothing is chosen by the test set: training is not given it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

_GRACE = 30.0
"""Seconds that a stopped command may take to save."""


def limited(command: list[str], seconds: float) -> int:
    """The exit status of an autodual command, which is asked to save and stop after so many seconds."""
    with subprocess.Popen([sys.executable, "-m", "autodual_cli", *command]) as process:
        try:
            return process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def main() -> int:
    place = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    further = sys.argv[place + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, metavar="RUN")
    parser.add_argument("--test", default="mnist:test", help="what to certify on")
    parser.add_argument("--limit", type=int, default=0, help="certify so many samples only; 0: all")
    parser.add_argument("--minutes", type=float, default=9.0, help="of everything")
    parser.add_argument("--certify-minutes", type=float, default=1.5, help="of these, what is kept for certifying")
    parser.add_argument("--search-seconds", type=float, default=0.0, help="of search for each open sample")
    parser.add_argument("--attack", default="20", help="steps, or a registered attack, on every sample")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(sys.argv[1:place])
    end = time.monotonic() + 60 * options.minutes
    where = ["--data-dir", str(options.data_dir), "--device", options.device]
    begun = (options.output / "checkpoint.pt").exists()
    how = ["--resume"] if begun else ["--recipe", str(options.recipe), *further]
    train = ["train", *how, *where, "--output", str(options.output)]
    status = limited(train, end - time.monotonic() - 60 * options.certify_minutes - _GRACE)
    network, folder = options.output / "network.pt", options.output / "evaluation"
    if not network.exists():
        sys.stderr.write(f"No network yet (status {status}): call it again to go on.\n")
        return status or 1
    evaluate = [
        "evaluate",
        str(network),
        "--data",
        options.test,
        *where,
        "--batch-size",
        "200",
        "--output",
        str(folder),
    ]
    evaluate += ["--timeout", str(options.search_seconds), "--attack", options.attack]
    evaluate += ["--limit", str(options.limit)] if options.limit else []
    # A network that went on training is another one, whose evaluation begins anew.
    same = begun and (folder / "network-1.json").exists() and not trained_since(network, folder)
    return limited([*evaluate, "--resume" if same else "--overwrite"], end - time.monotonic())


def trained_since(network: Path, folder: Path) -> bool:
    """Whether a network's file is newer than its evaluation."""
    return network.stat().st_mtime > (folder / "network-1.json").stat().st_mtime


if __name__ == "__main__":
    sys.exit(main())
