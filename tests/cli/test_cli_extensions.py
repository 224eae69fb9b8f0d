"""Extensions, from a file named on the command line or from an installed package: sets, losses, attacks, passes.

Code that a model, recipe or document merely names is never run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
import pytest
import torch
from autodual_cli.main import cli
from click.testing import CliRunner

from autodual.attacks import ATTACKS
from autodual.extensions import commands, extension
from autodual.passes import PASSES
from autodual.perturbations.registry import registered_sets
from autodual.train.losses.named_losses import LOSSES

EXAMPLE = Path(__file__).parents[2] / "examples" / "extending" / "own_set.py"


@contextmanager
def forgotten() -> Iterator[None]:
    """Undoes all registrations made in the with block."""
    tables = (registered_sets._SETS, extension._FROM_FILES, commands.COMMANDS, LOSSES, ATTACKS, PASSES)
    before = [dict(table) for table in tables]
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


@pytest.fixture(autouse=True)
def only_here() -> Iterator[None]:
    with forgotten():
        yield


def run(*arguments: object, code: int = 0) -> str:
    """The output of a command; its errors if exit code `code` is not 0."""
    found = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert found.exit_code == code, found.output
    return found.stderr if code else found.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's file, images of three classes, and a network trained to be robust over its set."""
    path = tmp_path_factory.mktemp("own_set")
    shutil.copy(EXAMPLE, path / "own.py")
    labels = torch.arange(90) % 3
    x = 0.3 * torch.rand(90, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    for label in range(3):
        x[labels == label, 0, 2 * label : 2 * label + 2] += 0.6
    numpy.savez(path / "data.npz", x=x.numpy(), y=labels.numpy())
    sizes = ["--arch", "mlp:16", "--epochs", 6, "--learning-rate", 0.02, "--batch-size", 10]
    places = ["data.hold_out=20", "radius=1", "validation.attack_steps=2", "validation.every=6"]
    options = [word for place in places for word in ("--set", place)]
    shape = ["--norm", "brightness", "--eps", 0.03, "--shift", "1/20"]
    with forgotten():
        run(
            "--extension", path / "own.py", "train", "--data", path / "data.npz", *sizes, *options, *shape,
            "--loss", "robust", "--output", path / "run", "--threads", 1, "--quiet",
        )  # fmt: skip
    return path


@pytest.fixture
def own(folder: Path) -> tuple[object, ...]:
    return "--extension", folder / "own.py"


def test_a_set_of_ones_own_is_trained_on(folder):
    recipe = json.loads((folder / "run" / "run.json").read_text())
    assert recipe["recipe"]["set"] == {"eps": 0.03, "norm": "brightness", "domain": [], "shift": 0.05}
    (extension,) = [file for file in recipe["provenance"]["files"] if file["role"] == "extension"]
    assert extension["path"].endswith("own.py") and len(extension["sha256"]) == 64


def test_the_set_is_certified_over_replayed_and_described(folder, own, tmp_path):
    """The command line gives no set: the network's file names it, and the extension defines it."""
    result = tmp_path / "result.json"
    command = ("certify", folder / "run/network.pt", "--data", folder / "data.npz", "--limit", 12, "--json", result)
    words = "brightness shift of 0.05 and box of radius 0.03, unclipped"
    assert words in run(*own, *command, "--attack", 3)
    document = json.loads(result.read_text())
    assert document["settings"]["norm"] == "brightness" and document["settings"]["set_options"] == {"shift": 0.05}
    statuses = [row["status"] for row in document["certificates"]]
    assert statuses.count("certified") >= 9  # it was trained for this set
    assert "rows that differ      0" in run(*own, "replay", result)
    run(*own, "report", result, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "for every x′ with x′ = x + s + e, |s| ≤ 0.05 for all pixels alike, ‖e‖∞ ≤ 0.03, the network" in page


def test_without_a_shift_the_margins_are_those_of_the_linf_ball(folder, own, tmp_path):
    """With a shift of 0 the set is an l∞ ball, so both give the same margins."""
    margins = []
    for name, shape in (("own", ["--norm", "brightness", "--shift", 0]), ("ball", ["--norm", "linf"])):
        command = ("certify", folder / "run/network.pt", "--data", folder / "data.npz", "--eps", 0.05, *shape)
        run(*own, *command, "--limit", 6, "--dtype", "float64", "--json", tmp_path / f"{name}.json")
        rows = json.loads((tmp_path / f"{name}.json").read_text())["certificates"]
        margins.append([row["margin"] for row in rows])
    assert margins[0] == pytest.approx(margins[1], abs=1e-12)


def test_a_radius_is_found_while_the_shift_stays_fixed(folder, own, tmp_path):
    result = tmp_path / "radii.json"
    shape = ("--norm", "brightness", "--shift", 0.02, "--max-radius", 0.2)
    run(
        *own, "radius", folder / "run/network.pt", *shape, "--data", folder / "data.npz", "--limit", 4, "--json", result
    )
    document = json.loads(result.read_text())
    assert document["settings"]["set_options"] == {"shift": 0.02}
    assert max(row["radius"] for row in document["radii"]) > 0.01
    run(*own, "replay", result)
    run(*own, "report", result, "--html", tmp_path / "page.html")
    assert "‖e‖∞ ≤ r(x)" in (tmp_path / "page.html").read_text()


def test_detection_over_the_set(folder, own):
    shape = ("--norm", "brightness", "--eps", 0.01, "--shift", 0.01)
    out = run(*own, "detect", folder / "run/network.pt", *shape, "--data", folder / "data.npz", "--limit", 4)
    assert "brightness shift of 0.01 and box of radius 0.01" in out


def test_help_lists_the_set_with_its_own_options(own):
    for command in ("certify", "radius", "detect", "train"):
        out = " ".join(run(*own, command, "--help").split())
        assert "linf, l2, l1, wasserstein, union, box, brightness or a number p >= 1." in out
        assert "--shift FLOAT --norm brightness: Largest change of all pixels together. [default: 0.1]" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--eps", "0.1", "--shift", "0.1"], "--shift shapes another set; with it, give --norm brightness."),
        (["--eps", "0.1", "--norm", "l2", "--shift", "0.1"], "--shift shapes another set"),
        (["--eps", "0.1", "--norm", "brightness", "--shift", "-1"], "--norm brightness: 'shift' must be at least 0"),
        (["--eps", "0.1", "--norm", "brightness", "--shift", "no"], "'shift' must be a number, not 'no'"),
        (["--norm", "brightness", "--shift", "0.1"], "give its radius --eps too"),
        (["--eps", "0.1", "--norm", "brightness", "--domain", "0,1"], "the set 'brightness' takes no domain"),
        (
            ["--eps", "0.1", "--norm", "darkness"],
            "no norm, nor any other set that is registered; there are",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(folder, own, words, message):
    errors = run(*own, "certify", folder / "run/network.pt", "--data", folder / "data.npz", *words, code=2)
    assert message in errors


def test_no_file_causes_code_to_run(folder, own, tmp_path):
    """Networks, recipes and documents only name the set; running its code takes --extension again."""
    result = tmp_path / "result.json"
    command = ("certify", folder / "run/network.pt", "--data", folder / "data.npz", "--limit", 2)
    run(*own, *command, "--json", result)
    registered_sets._SETS.pop("brightness")
    for words in (command, ("train", "--output", folder / "run", "--resume")):
        assert "name the file that registers it: autodual --extension FILE.py" in run(*words, code=2)
    assert "to run that code again, name it: autodual --extension FILE.py replay" in run("replay", result, code=2)
    run("report", result, "--html", tmp_path / "page.html")
    words = "in the set of size 0.03 around x (brightness shift of 0.05 and box of radius 0.03, unclipped)"
    assert f"for every x′ {words}, the network" in (tmp_path / "page.html").read_text()


def test_a_changed_extension_is_refused(folder, own, tmp_path):
    result = tmp_path / "result.json"
    command = ("certify", folder / "run/network.pt", "--data", folder / "data.npz", "--limit", 2, "--json", result)
    run(*own, *command)
    other = tmp_path / "own.py"
    other.write_text((folder / "own.py").read_text() + "\n# changed\n")
    changed = ("--extension", other)
    registered_sets._SETS.pop("brightness")
    assert "The extension is not the one of the recorded run" in run(*changed, "replay", result, code=2)
    assert "The extension file has changed since" in run(*changed, *command, "--resume", code=2)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, "There is no file"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("def", "cannot be imported: SyntaxError"),
        (
            "from autodual.extend import named_set\n@named_set('linf', 'mine')\nclass Mine: pass",
            "ValueError: the na",
        ),
    ],
)
def test_an_extension_that_fails_is_one_line(tmp_path, code, message):
    path = tmp_path / "broken.py"
    if code is not None:
        path.write_text(code)
    errors = run("--extension", path, "certify", "--help", code=2)
    assert message in errors and "Traceback" not in errors


COMMAND = """
import click
from autodual.extensions.commands import named_command

@named_command
@click.command()
@click.argument("word")
def shout(word):
    '''Say WORD loudly. And more.'''
    click.echo(word.upper())
"""


def test_a_command_is_one_file(tmp_path):
    path = tmp_path / "shouting.py"
    path.write_text(COMMAND)
    assert run("--extension", path, "shout", "hello") == "HELLO\n"
    assert "shout  Say WORD loudly" in run("--extension", path, "--help")
    assert "verify" in run("--extension", path, "--help")


def test_an_installed_package_brings_its_extensions(tmp_path, monkeypatch):
    (tmp_path / "shouting_package.py").write_text(COMMAND)
    about = tmp_path / "shouting_package-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting-package\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text("[autodual.extensions]\nshouting = shouting_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run("shout", "hello") == "HELLO\n"
    (about / "entry_points.txt").write_text("[autodual.extensions]\nshouting = no_such_package\n")
    commands.COMMANDS.clear()
    found = CliRunner().invoke(cli, ["certify", "--help"])
    assert found.exit_code == 0
    words = "Warning: the extension 'shouting' of the package 'shouting-package' is left out, since it fails (Module"
    assert words in found.stderr


LOSS = """
from dataclasses import dataclass
from autodual.extend import Loss, named_loss
from autodual.train.limits import Fraction
from autodual.train.losses import Clean, IntervalBound

@named_loss("half-and-half")
@dataclass(frozen=True)
class HalfAndHalf(Loss):
    part: Fraction = 0.5

    def of(self, batch):
        return (1 - self.part) * Clean().of(batch) + self.part * IntervalBound(kappa=0.0).of(batch)
"""


def test_a_loss_is_one_file(folder, tmp_path):
    path = tmp_path / "own_loss.py"
    path.write_text(LOSS)
    command = ("train", "--data", folder / "data.npz", "--arch", "mlp:4", "--epochs", 1, "--set", "data.hold_out=20")
    chosen = ("--loss", "half-and-half", "--set", "loss.part=0.25", "--output", tmp_path / "run", "--quiet")
    run("--extension", path, *command, *chosen, "--threads", 1)
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert recipe["loss"] == {"kind": "half-and-half", "part": 0.25}
    LOSSES.pop("half-and-half")
    assert "'loss.kind' must be one of clean, pgd" in run(*command, *chosen, "--overwrite", code=2)


ATTACK = """
from dataclasses import dataclass
import torch
from autodual.extend import Attack, named_attack

@named_attack("corner")
@dataclass(frozen=True)
class Corner(Attack):
    tries: int = 8

    def run(self, function, region, specification, generator=None):
        generator = generator or torch.Generator().manual_seed(0)
        rows = specification.rows(function(region.centre))
        corners = region.corners(self.tries, generator)
        margins = torch.stack([specification.margin(rows.values(function(points))) for points in corners])
        return corners[margins.argmin(0), torch.arange(region.count)]
"""


def test_an_attack_is_one_file(folder, tmp_path):
    path, result = tmp_path / "own_attack.py", tmp_path / "result.json"
    path.write_text(ATTACK)
    command = ("certify", folder / "run/network.pt", "--data", folder / "data.npz", "--limit", 6, "--eps", 0.9)
    run("--extension", path, *command, "--attack", "corner:tries=50", "--json", result)
    document = json.loads(result.read_text())
    assert document["settings"]["attack"] == "corner:tries=50" and document["settings"]["attack_steps"] is None
    assert any(row["status"] == "falsified" for row in document["certificates"])
    run("--extension", path, "replay", result)
    message = "the attack 'corner' has no option 'trys=5'; there are tries (FIELD=VALUE)"
    assert message in run("--extension", path, *command, "--attack", "corner:trys=5", code=2)
    ATTACKS.pop("corner")
    errors = run(*command, "--attack", "corner", code=2)
    assert "'corner' is no attack that is registered; there are pgd, fgsm" in errors


PASS = """
from dataclasses import dataclass, replace
from autodual.extend import Pass, named_pass

@named_pass()
@dataclass(frozen=True)
class Slopes(Pass):
    slopes: str = "shared"
    name = "slopes"

    def run(self, plan):
        return replace(plan, options=replace(plan.options, slopes=self.slopes))
"""


def test_a_pass_is_one_file(folder, tmp_path):
    path, result = tmp_path / "own_pass.py", tmp_path / "result.json"
    path.write_text(PASS)
    model = folder / "run/network.pt"
    inspected = run(
        "--extension",
        path,
        "inspect",
        model,
        "--pass",
        "slopes",
        *("--print-after", "slopes", "--input-shape", "1,6,6"),
    )
    assert "after slopes:" in inspected
    command = ("certify", model, "--data", folder / "data.npz", "--limit", 2, "--eps", 0.01)
    out = run("--extension", path, *command, "--pass", "slopes:slopes=adaptive", "--json", result)
    assert "slopes:slopes=adaptive" in out
    assert json.loads(result.read_text())["settings"]["passes"] == ["slopes:slopes=adaptive"]
    run("--extension", path, "replay", result)
    PASSES.pop("slopes")
    assert "'slopes' is no pass that is registered" in run(*command, "--pass", "slopes", code=2)
