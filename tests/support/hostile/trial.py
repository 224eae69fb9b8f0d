"""Run as a script: runs a command for each line of standard input, in its own process, and measures it.

A line is a JSON list of arguments. The processes are forked, so that PyTorch is imported only once; its time and memory
are not counted. For each command one line of JSON is printed: see `Outcome`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

SECONDS = 10.0
"""How long a command may take with a hostile file."""

BYTES = 2**30
"""How much memory a command may take, without that of the imports."""

_PATIENCE = 9 * SECONDS
_CEILING = 5 * BYTES
"""Memory limit that stops a command, to protect the machine; it is far above the budget."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one command.

    status: its exit status; or minus the signal that ended it, -9 if it was stopped. seconds: processor time, which
    does not depend on the load of the machine. bytes: peak of resident memory, without that of the imports.
    """

    arguments: list[str]
    status: int
    seconds: float
    bytes: int
    output: str

    @property
    def failed(self) -> bool:
        """Whether it ended with an unexpected error."""
        return "Traceback" in self.output or self.status not in (0, 1, 2)

    @property
    def over_budget(self) -> bool:
        return self.seconds > SECONDS or self.bytes > BYTES


def main() -> None:
    """Serve until the input ends."""
    _import_all()
    for line in sys.stdin:
        print(json.dumps(asdict(_trial(json.loads(line)))), flush=True)  # noqa: T201


def _import_all() -> None:
    """Import everything that a command may import; certifying a small network imports the rest."""
    for module in _IMPORTED:
        import_module(module)
    import torch

    import autodual

    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
    x = torch.rand(2, 2)
    autodual.certify(autodual.compile_dual(model, x), x, autodual.LinfBall(0.1))


_IMPORTED = (
    "autodual_cli.jobs.certification_job",
    "autodual_cli.tasks.run_evaluation",
    "autodual_cli.tasks.model_inspection",
    "autodual_cli.tasks.result_page",
    "autodual_cli.replaying.sample_rerun",
    "autodual_cli.tasks.training_run",
    "torch._dynamo",
    "torch._export.serde.serialize",
    "torch.export.pt2_archive._package",
)


def _trial(arguments: list[str]) -> Outcome:
    with tempfile.TemporaryFile() as output:
        start = time.monotonic()
        process = os.fork()
        if not process:
            _child(arguments, output.fileno())
        status, seconds, peak = _wait(process, start)
        output.seek(0)
        before, _, text = output.read().decode("utf-8", "replace").partition("\0")
        return Outcome(arguments, status, seconds, max(peak - int(before), 0), text)


def _child(arguments: list[str], output: int) -> None:
    """Write the memory of the imports to `output`, run the command, and exit."""
    os.write(output, f"{_status('VmHWM')}\0".encode())
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_DATA, (_status("VmData") + _CEILING,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    status = 70
    try:
        from autodual_cli.main import cli

        cli(arguments, prog_name="autodual")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(process: int, start: float) -> tuple[int, float, int]:
    """The exit status, the processor time in seconds, and the peak resident memory in bytes."""
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss
        if time.monotonic() - start > _PATIENCE:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.002)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key + ":"))


if __name__ == "__main__":
    main()
