"""Draws the pictures of docs/wasserstein.md from the test images that ship: `python docs/draw_wasserstein.py`."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from torch import Tensor

import autodual
from autodual.attacks import FrankWolfe
from autodual.data import load_dataset
from autodual.perturbations.wasserstein.moves import Moves, at_targets
from autodual.specs import ClassMargin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
NETWORK, IMAGES = ROOT / "examples" / "mnist_small.pt", ROOT / "docs" / "images"
#: The images of the first picture, of the third and of the second; the radii of the second, the first and the third.
PLANNED, BOUND, DIGITS = 7, 0, (0, 3, 7)
RADII, RADIUS, BOUNDED = (0.005, 0.02, 0.1, 0.5), 0.1, 0.02
BLUE, ORANGE, COLOURS = "#1b6ca8", "#d95f02", 128
#: Pixels along the side of the enlarged part.
SIDE = 10
#: Rounds of the search for the best price that are drawn, and halvings of the bracket around it.
ROUNDS, HALVINGS = 3, 50


@dataclass(frozen=True)
class Worst:
    """What a row y makes of the mass of an image x, both `[H, W]`, at each price of moving it."""

    row: Tensor
    x: Tensor
    budget: float
    moves: Moves

    def at(self, price: float) -> tuple[float, float, Tensor]:
        """F at the price, its slope, and the number of each pixel's best move `[H, W]`."""
        values = [
            at_targets(self.row, offset, self.moves.reach, -torch.inf) - price * cost for offset, cost in self.offers
        ]
        best, move = torch.stack(values).max(0)
        spent = self.x * torch.tensor([cost for _, cost in self.offers])[move]
        return price * self.budget + float((self.x * best).sum()), self.budget - float(spent.sum()), move

    @property
    def offers(self) -> list[tuple[tuple[int, int], float]]:
        """All moves with their costs, the cheapest first."""
        return [(offset, ring.cost) for ring in self.moves.rings for offset in ring.offsets]

    def best_price(self) -> float:
        """The lowest price at which the moves that pay cost no more than the budget."""
        low, high = 0.0, float(self.row.amax() - self.row.amin())
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.at(middle)[1] < 0 else (low, middle)
        return high


def worst_points(model: Any, x: Tensor, labels: Tensor, radius: float, steps: int) -> tuple[Tensor, Tensor]:
    """What the attack finds in the balls, and the gradient of minus the margin there."""
    specification = ClassMargin(labels)
    points = FrankWolfe(steps=steps).run(model, autodual.WassersteinBall(radius).at(x), specification)
    points.requires_grad_()
    outputs = model(points)
    (gradient,) = torch.autograd.grad(-specification.margin(specification.rows(outputs).values(outputs)).sum(), points)
    return points.detach(), gradient


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches; imports matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise click.ClickException("The pictures need matplotlib: pip install 'autodual[docs]'.") from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Save as a PNG with a palette and without metadata, so that runs give the same file."""
    from PIL import Image  # matplotlib's own dependency

    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def show(axis: Any, image: Tensor, title: str, most: float = 1.0) -> None:
    """An image in ink on white."""
    axis.imshow(image.numpy(), cmap="gray_r", vmin=0, vmax=most)
    axis.set_title(title, fontsize=9)
    axis.set(xticks=[], yticks=[])


def draw_plan(model: Any, x: Tensor, labels: Tensor, steps: int) -> Figure:
    """One digit before and after, the difference, and the plan as arrows."""
    _, gradient = worst_points(model, x, labels, RADIUS, steps)
    worst = Worst(gradient[0, 0], x[0, 0], RADIUS * float(x.sum()), Moves(5))
    move = worst.at(worst.best_price())[2]
    after = torch.zeros_like(worst.x)
    arrows = []
    for row, column in (worst.x > 0).nonzero().tolist():
        down, right = worst.offers[int(move[row, column])][0]
        after[row + down, column + right] += worst.x[row, column]
        if (down, right) != (0, 0):
            arrows.append((row, column, down, right, float(worst.x[row, column])))
    change = after - worst.x
    figure = new_figure(9.0, 2.7)
    axes = figure.subplots(1, 4)
    show(axes[0], worst.x, f"before: {int(model(x).argmax())}", 1.0)
    show(axes[1], after, f"after: {int(model(after[None, None]).argmax())}", 1.0)
    axes[2].imshow(change.numpy(), cmap="RdBu", vmin=-1, vmax=1)
    axes[2].set_title("arrives (blue), leaves (red)", fontsize=9)
    axes[2].set(xticks=[], yticks=[])
    show(axes[3], worst.x, "the plan, enlarged", 2.5)
    for row, column, down, right, mass in arrows:
        axes[3].annotate(
            "",
            (column + right, row + down),
            (column, row),
            arrowprops={"arrowstyle": "->", "color": ORANGE, "linewidth": 0.4 + mass, "shrinkA": 0, "shrinkB": 0},
        )
    row, column = (int(torch.tensor(of).median()) for of in list(zip(*arrows))[:2])
    axes[3].set(xlim=(column - SIDE / 2, column + SIDE / 2), ylim=(row + SIDE / 2, row - SIDE / 2))
    return figure


def draw_radii(model: Any, x: Tensor, labels: Tensor, steps: int) -> Figure:
    """Several digits, and the worst points that the attack finds at several radii."""
    figure = new_figure(7.5, 1.65 * len(x))
    panels = figure.subplots(len(x), 1 + len(RADII), squeeze=False)
    for axis, image, label in zip(panels[:, 0], x, labels):
        show(axis, image[0], f"image: {int(label)}")
    for axes, radius in zip(panels[:, 1:].T, RADII):
        points, _ = worst_points(model, x, labels, radius, steps)
        for axis, point, found in zip(axes, points, model(points).argmax(1)):
            show(axis, point[0], f"{radius:g}: {int(found)}")
    return figure


def draw_bounds(model: Any, x: Tensor, labels: Tensor, steps: int) -> Figure:
    """What intervals of pixels allow, and the one-variable function whose every value is a bound."""
    region = autodual.WassersteinBall(BOUNDED).at(x)
    _, gradient = worst_points(model, x, labels, BOUNDED, steps)
    worst = Worst(gradient[0, 0], x[0, 0], float(region.budget), Moves(5))
    upper, mass = region.enclosure().upper[0, 0], float(x.sum())
    figure = new_figure(9.0, 2.9)
    first, second, third = figure.subplots(1, 3, width_ratios=(1, 1, 2))
    show(first, worst.x, f"the image: mass {mass:.0f}")
    show(second, upper, f"greatest values: {float(upper.sum()):.0f}")
    best = worst.best_price()
    prices = torch.linspace(0, 4 * best, 200).tolist()
    third.plot(prices, [worst.at(price)[0] for price in prices], color=BLUE, label="F(ψ): all are bounds")
    low, high = 0.0, prices[-1]
    for _ in range(ROUNDS):
        (at_low, slope_low, _), (at_high, slope_high, _) = worst.at(low), worst.at(high)
        met = (at_high - at_low + slope_low * low - slope_high * high) / (slope_low - slope_high)
        tangent = at_low + slope_low * (met - low)
        third.plot([low, met, high], [at_low, tangent, at_high], "--", color=ORANGE, linewidth=0.8)
        low, high = (met, high) if worst.at(met)[1] < 0 else (low, met)
    third.plot(best, worst.at(best)[0], "o", color="black", label="the maximum of ⟨y, z⟩")
    third.axhline(float((worst.row * worst.x).sum()), color="grey", linewidth=0.8, label="⟨y, x⟩")
    third.set_xlabel("price ψ")
    third.legend(fontsize=8)
    return figure


@click.command()
@click.option("--output-dir", default=IMAGES, type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
@click.option("--steps", default=60, show_default=True, help="Of the attack.")
def main(output_dir: Path, steps: int) -> None:
    """Draw wasserstein_plan.png, wasserstein_radii.png and wasserstein_bounds.png."""
    new_figure(1.0, 1.0)  # fails at once if matplotlib is missing
    model = autodual.load_model(NETWORK).requires_grad_(False)
    data = load_dataset("sample").slice(0, 1 + max(DIGITS))
    output_dir.mkdir(parents=True, exist_ok=True)
    pictures = {"plan": (draw_plan, [PLANNED]), "radii": (draw_radii, list(DIGITS)), "bounds": (draw_bounds, [BOUND])}
    for name, (draw, chosen) in pictures.items():
        save(draw(model, data.x[chosen], data.y[chosen], steps), output_dir / f"wasserstein_{name}.png")


if __name__ == "__main__":
    main()
