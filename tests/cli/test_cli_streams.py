"""Standard streams that are closed, full or not read, and characters that they cannot encode."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, warnings
from autodual_cli.process.streams import StandardStreams
streams = StandardStreams()
with open("out.txt", "w") as file:
    assert file.fileno() > 2
    print("shown \\u221e \\udcff")
    print("said", file=sys.stderr)
    warnings.warn("warned")
    os.system("echo from below >&2")
    file.write("kept")
sys.exit(streams.status(int(sys.argv[1])))
"""


def run(
    folder: Path, redirections: str = "", status: int = 0, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs PROGRAM in a shell: it prints, writes a file, and exits with the given status."""
    command = ["/bin/sh", "-c", f'exec "$0" -c "$1" {status} {redirections}', sys.executable, PROGRAM]
    done = subprocess.run(command, capture_output=True, cwd=folder, env={**os.environ, **environment})
    assert (folder / "out.txt").read_text() == "kept" and b"Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("closed", [each for n in range(4) for each in itertools.combinations((0, 1, 2), n)])
def test_work_goes_on_with_closed_streams(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """Output to a closed stream never ends up in one of the user's files."""
    done = run(tmp_path, " ".join(f"{descriptor}{'>' if descriptor else '<'}&-" for descriptor in closed))
    assert done.returncode == 0
    assert (b"shown" in done.stdout) == (1 not in closed) and (b"said" in done.stderr) == (2 not in closed)


@pytest.mark.parametrize("status", [0, 1])
def test_lost_output_gives_an_exit_status_that_is_no_verdict(tmp_path: Path, status: int) -> None:
    """Neither 0 (all certified) nor 1 (a sample is not certified), as the reader never saw the results."""
    full = run(tmp_path, "> /dev/full", status)
    assert full.returncode == 2
    assert full.stderr.endswith(b"Error: The standard output cannot be written: No space left on device.\n")
    assert run(tmp_path, "2> /dev/full", status).returncode == status
    unread = subprocess.Popen([sys.executable, "-c", PROGRAM, str(status)], stdout=subprocess.PIPE, cwd=tmp_path)
    assert unread.stdout is not None
    unread.stdout.close()
    assert unread.wait() == 141


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "ascii:strict"])
def test_letters_that_cannot_be_shown_are_escaped(tmp_path: Path, encoding: str) -> None:
    done = run(tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert done.stdout == ("shown ∞ \\udcff\n".encode() if encoding == "utf-8" else b"shown \\u221e \\udcff\n")


def test_internal_errors_and_invalid_paths_do_not_exit_with_a_verdict(tmp_path: Path) -> None:
    """An internal error exits with status 3 and shows its traceback."""
    program = "import autodual_cli.main as main; main.cli.commands['inspect'].callback = lambda **_: 1 / 0; main.main()"
    done = subprocess.run([sys.executable, "-c", program, "inspect", "x"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 3 and "ZeroDivisionError" in done.stderr
    program = program.replace("1 / 0", "main.sys.exit('no more')")  # as an extension's command might end
    done = subprocess.run([sys.executable, "-c", program, "inspect", "x"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 3 and done.stderr == "no more\n"
    whole = subprocess.run([sys.executable, "-m", "autodual_cli"], capture_output=True, text=True)
    assert not any(line.endswith("...") for line in (whole.stderr + whole.stdout).splitlines()[1:])
    unusable = subprocess.run(
        [sys.executable, "-m", "autodual_cli", "report", b"\xff" + b"x" * 254], capture_output=True, cwd=tmp_path
    )
    assert unusable.returncode == 2 and b"Traceback" not in unusable.stderr and unusable.stderr.startswith(b"Error: ")
