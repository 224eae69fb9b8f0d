"""Robust training in the plane, where it can be seen: decision regions and adversarial polytopes (thesis, Section 3.2).

From the same random weights, one network is trained on a few points, another on the l∞ boxes around them. The first
picture shows their decision regions (Figure 3.3). The second shows, for the box around one point, the set of outputs
that the network reaches, which is not convex, inside the convex set of its dual bounds (Figures 3.4 and 3.5). Unlike
in the thesis, points are 2.5 radii apart and the learning rate falls; `thesis.py figure-3.3` has its settings.
"""

from __future__ import annotations

import copy
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click
import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import autodual
from autodual import Certificate, DualNetwork, LinfBall, Status
from autodual.attacks import Pgd
from autodual.policies import SlopePolicy

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array: TypeAlias = NDArray[numpy.float64]

POINTS = 12
RADIUS = 0.08
# Distance between points, in units of the radius. From 2 on, boxes are disjoint; but if boxes of different classes
# touch, bounds that are not exact leave no room for the boundary, and one to four boxes stay uncertified.
SPACING = 2.5
WIDTHS = (2, 100, 100, 100, 100, 2)
STEPS = 1000
LEARNING_RATE = 1e-3

# Starts of the attack on boxes that are not certified.
ATTACKS = 5
# The second picture's radii, in units of the first's.
SHARES = (0.25, 0.5, 1.0)
# Half-planes of each polygon; a multiple of 4, so that they include those of the margin and of the sum.
DIRECTIONS = 128
# Grid points along each side of a box; twice as many for the regions of the plane.
GRID = 201
# Relative to a polygon's size; its arithmetic is float64.
ROUNDING = 1e-9

RANDOM, STANDARD, ROBUST = "random weights", "standard training", "robust training"
CLASS_COLOURS, CLASS_MARKERS = ("#1b6ca8", "#d95f02"), ("o", "s")
CLASS_REGIONS = ("#d6e5f1", "#fbe0cb")
REACHED = "#555555"
OTHER_WINS = "#f4d9d9"
# Colours of a picture's palette: a few flat ones, and the blends at their edges.
COLOURS = 64
BOUNDS: dict[SlopePolicy, tuple[str, str, str]] = {
    "shared": ("#d95f02", "--", "dual bounds, shared slopes (the thesis)"),
    "adaptive": ("#1b6ca8", "-", "dual bounds, adaptive slopes"),
}
# Line styles of boxes; all other statuses are dashed, since some point is known to get the wrong class.
BOX_STYLES = {Status.CERTIFIED: "-", Status.UNKNOWN: ":"}


# --- points and networks ----------------------------------------------------------------------------------------------


def spaced_points(count: int, distance: float) -> Tensor:
    """Random points `[count, 2]` of the unit square, any two at least `distance` apart in l∞."""
    points = torch.empty(0, 2)
    while len(points) < count:
        candidate = torch.rand(1, 2)
        if bool(((points - candidate).abs().amax(1) >= distance).all()):
            points = torch.cat([points, candidate])
    return points


def random_problem() -> tuple[Tensor, Tensor]:
    """Points `[N, 2]` whose boxes are disjoint, and their classes `[N]`, which follow no pattern."""
    return spaced_points(POINTS, SPACING * RADIUS), torch.randint(0, 2, (POINTS,))


def relu_network(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths with ReLUs in between, and random weights that preserve the signal's size."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        linear = nn.Linear(narrow, wide)
        # With PyTorch's default, the output hardly depends on the input, and polytopes are nearly linear images.
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(network: nn.Module, loss: Callable[[], Tensor], steps: int) -> None:
    """Adam on all points at once, with a learning rate that falls to almost zero."""
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        schedule.step()


def dual_networks(x: Tensor, y: Tensor, widths: Sequence[int], steps: int) -> dict[str, DualNetwork]:
    """The duals of three networks, by name: with the initial weights, trained on points, and trained on boxes."""
    start = relu_network(widths)
    standard, robust = copy.deepcopy(start), copy.deepcopy(start)
    networks = {RANDOM: start, STANDARD: standard, ROBUST: robust}
    duals = {name: autodual.compile_dual(network, example_input=x[:1]) for name, network in networks.items()}
    train(standard, lambda: functional.cross_entropy(standard(x), y), steps)
    train(robust, lambda: autodual.robust_loss(duals[ROBUST], x, y, LinfBall(RADIUS)), steps)
    return duals


def summary(certificates: Sequence[Certificate]) -> str:
    """The number of certified boxes, and the statuses of the others."""
    counts = Counter(certificate.status for certificate in certificates)
    certified = f"{counts.pop(Status.CERTIFIED, 0)} of {len(certificates)} boxes certified"
    return ", ".join([certified, *(f"{count} {status}" for status, count in counts.most_common())])


# --- adversarial polytopes --------------------------------------------------------------------------------------------


def margin_and_sum(label: int) -> Tensor:
    """The rows `[2, 2]` of f_y - f_j and of f_0 + f_1.

    In these coordinates a box is certified if its polygon lies right of zero. Trained networks have f_0 near -f_1, so
    in the plane of f_0 and f_1 their polytopes would be slivers along the diagonal.
    """
    sign = 1.0 if label == 0 else -1.0
    return torch.tensor([[sign, -sign], [1.0, 1.0]], dtype=torch.float64)


def reached(dual: DualNetwork, x: Tensor, radius: float, rows: Tensor) -> Array:
    """Values `[GRID, GRID, 2]` of the rows `[2, 2]` at a grid over the box around x `[2]`, borders included."""
    offsets = torch.linspace(-radius, radius, GRID, dtype=torch.float64)
    with torch.no_grad():
        outputs = dual.outputs(x.double() + torch.cartesian_prod(offsets, offsets))
    return (outputs @ rows.T).reshape(GRID, GRID, 2).numpy()


def outer_polygon(
    dual: DualNetwork, x: Tensor, radius: float, rows: Tensor, spans: Tensor, slopes: SlopePolicy
) -> Array:
    """A convex polygon `[V, 2]`, counterclockwise, that contains the rows' values on the whole box around x `[2]`.

    A lower bound of a linear function gives a half-plane; the polygon is the intersection of many. Their normals are
    evenly spaced after dividing the coordinates by `spans` `[2]`, so that a long, thin set is bounded well in both.
    """
    angles = 2 * math.pi * torch.arange(DIRECTIONS, dtype=torch.float64) / DIRECTIONS
    normals = torch.stack([angles.cos(), angles.sin()], 1) / spans
    with torch.no_grad():
        lower = dual.lower_bounds(x.double()[None], LinfBall(radius), normals @ rows, slopes=slopes)[0]
    # The coordinates themselves are among the functions, so this rectangle contains the intersection.
    corners = numpy.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    polygon = corners * float(lower.abs().max()) * spans.numpy()
    for normal, least in zip(normals.numpy(), lower.tolist()):
        polygon = clipped(polygon, normal, least)
    return polygon


def clipped(polygon: Array, normal: Array, least: float) -> Array:
    """The part of a convex polygon `[V, 2]` where normal·p ≥ least (one step of Sutherland and Hodgman)."""
    heights = polygon @ normal - least
    kept = []
    for here, there, above, above_there in zip(polygon, numpy.roll(polygon, -1, 0), heights, numpy.roll(heights, -1)):
        if above >= 0:
            kept.append(here)
        if (above >= 0) != (above_there >= 0):
            kept.append(here + (there - here) * above / (above - above_there))
    return numpy.array(kept).reshape(-1, 2)


def contains(polygon: Array, points: Array) -> bool:
    """Whether all points `[..., 2]` lie left of every edge of a counterclockwise polygon, up to rounding."""
    allowed = ROUNDING * float(numpy.prod(numpy.ptp(polygon, axis=0)))
    for start, edge in zip(polygon, numpy.roll(polygon, -1, 0) - polygon):
        left = edge[0] * (points[..., 1] - start[1]) - edge[1] * (points[..., 0] - start[0])
        if left.min() < -allowed:
            return False
    return True


# --- pictures ---------------------------------------------------------------------------------------------------------


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches; imports matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise click.ClickException("The pictures need matplotlib: pip install 'autodual[docs]'.") from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Save as a PNG with a palette, a third of the size, without metadata, so that runs give the same file."""
    from PIL import Image  # matplotlib's own dependency

    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def draw_regions(duals: dict[str, DualNetwork], found: dict[str, list[Certificate]], x: Tensor, y: Tensor) -> Figure:
    """The decision regions of the trained networks, side by side."""
    figure = new_figure(9.0, 5.4)
    for axis, name in zip(figure.subplots(1, 2, sharey=True), (STANDARD, ROBUST)):
        region_panel(axis, duals[name], found[name], x, y)
        axis.set_title(f"{name}\n{summary(found[name])}", fontsize=11)
    figure.axes[0].set_ylabel("$x_1$")
    figure.legend(handles=region_legend(), loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return figure


def region_panel(axis: Axes, dual: DualNetwork, certificates: Sequence[Certificate], x: Tensor, y: Tensor) -> None:
    """One network's regions, with every point, its box, and its counterexample if there is one."""
    from matplotlib.patches import Rectangle

    around = 1.5 * RADIUS  # boxes of points near the border reach beyond the unit square
    ticks = torch.linspace(-around, 1 + around, 2 * GRID)
    with torch.no_grad():
        outputs = dual.outputs(torch.cartesian_prod(ticks, ticks))
    second = (outputs[:, 1] - outputs[:, 0]).reshape(len(ticks), len(ticks)).T
    axis.contourf(ticks, ticks, second, levels=[-math.inf, 0, math.inf], colors=CLASS_REGIONS)
    axis.contour(ticks, ticks, second, levels=[0], colors="white", linewidths=1.5)
    for point, label, certificate in zip(x.tolist(), y.tolist(), certificates):
        corner = (point[0] - RADIUS, point[1] - RADIUS)
        style = BOX_STYLES.get(certificate.status, "--")
        colour = CLASS_COLOURS[label]
        axis.add_patch(Rectangle(corner, 2 * RADIUS, 2 * RADIUS, fill=False, edgecolor=colour, ls=style, lw=1.6))
        axis.plot(*point, CLASS_MARKERS[label], color=colour, markersize=5)
        if certificate.counterexample is not None:
            axis.plot(*certificate.counterexample.tolist(), "x", color="black", markersize=6, markeredgewidth=1.6)
    axis.set(aspect="equal", xlabel="$x_0$")


def region_legend() -> list[Artist]:
    """Entries for the points by class and for the line styles of boxes."""
    from matplotlib.lines import Line2D

    points = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=f"class {label}")
        for label, (colour, marker) in enumerate(zip(CLASS_COLOURS, CLASS_MARKERS))
    ]
    boxes = [
        Line2D([], [], color="black", linestyle="-", label="box certified"),
        Line2D([], [], color="black", linestyle=":", label="unknown"),
        Line2D([], [], color="black", linestyle="--", marker="x", label="falsified by this point"),
    ]
    return [*points, *boxes]


def draw_polytopes(duals: dict[str, DualNetwork], x: Tensor, label: int) -> Figure:
    """For growing boxes around one point `[2]`, the outputs that each network reaches, and its bounds."""
    figure = new_figure(9.0, 8.6)
    panels = figure.subplots(len(duals), len(SHARES))
    for row, (name, dual) in zip(panels, duals.items()):
        for axis, share in zip(row, SHARES):
            polytope_panel(axis, dual, x, share * RADIUS, label)
        row[0].set_ylabel(f"{name}\n\n$f_0 + f_1$")
    for axis in panels[-1]:
        axis.set_xlabel(f"margin $f_{label} - f_{1 - label}$")
    figure.legend(handles=polytope_legend(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def polytope_panel(axis: Axes, dual: DualNetwork, x: Tensor, radius: float, label: int) -> None:
    """One adversarial polytope inside its outer bounds, each coordinate at its own scale."""
    from matplotlib.colors import ListedColormap

    rows = margin_and_sum(label)
    values = reached(dual, x, radius, rows)
    axis.pcolormesh(
        values[..., 0],
        values[..., 1],
        numpy.zeros((GRID - 1, GRID - 1)),
        cmap=ListedColormap([REACHED]),
        edgecolor="face",
    )
    least = []
    for slopes, polygon in outer_polygons(dual, x, radius, rows, values).items():
        colour, style, _ = BOUNDS[slopes]
        axis.plot(*numpy.concatenate([polygon, polygon[:1]]).T, style, color=colour, linewidth=1.5)
        least.append(polygon[:, 0].min())
    axis.margins(0.08)
    # Shade the part left of zero without moving the picture's edges.
    left, right = axis.get_xlim()
    axis.axvspan(min(left, 0.0), min(right, 0.0), color=OTHER_WINS, zorder=0, linewidth=0)
    axis.set_xlim(left, right)
    # A lower bound is rounded down.
    margin = f"{math.floor(100 * max(least)) / 100:.2f}".replace("-", "−")
    axis.set_title(f"radius {radius:g}: margin ≥ {margin}", fontsize=10)
    axis.locator_params(nbins=5)
    axis.tick_params(labelsize=8)


def outer_polygons(
    dual: DualNetwork, x: Tensor, radius: float, rows: Tensor, values: Array
) -> dict[SlopePolicy, Array]:
    """The outer polygon for each choice of slopes, checked to contain all values that were reached."""
    spans = torch.from_numpy(numpy.ptp(values, axis=(0, 1)))
    polygons = {slopes: outer_polygon(dual, x, radius, rows, spans, slopes) for slopes in BOUNDS}
    for slopes, polygon in polygons.items():
        assert contains(polygon, values), f"a point of the box leaves the bounds with {slopes} slopes"
    return polygons


def polytope_legend() -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines = [Line2D([], [], color=colour, linestyle=style, label=words) for colour, style, words in BOUNDS.values()]
    return [
        Patch(color=REACHED, label="outputs that points of the box reach"),
        Patch(color=OTHER_WINS, label="the other class wins"),
        *lines,
    ]


# --- the command ------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--output-dir", default=".", show_default=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=0, show_default=True, help="Of the points, their classes and the random weights.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
def main(output_dir: Path, seed: int, quiet: bool) -> None:
    """Train on random points of the plane and draw toy_2d_regions.png and toy_2d_polytopes.png."""

    def say(words: str) -> None:
        if not quiet:
            click.echo(words)

    new_figure(1.0, 1.0)  # fails before the training, not after, if matplotlib is missing
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x, y = random_problem()
    start = time.monotonic()
    duals = dual_networks(x, y, WIDTHS, STEPS)
    say(f"Trained in {time.monotonic() - start:.0f} s")

    ball = LinfBall(RADIUS)
    found = {
        name: autodual.certify(dual, x, ball, labels=y, attack=Pgd(restarts=ATTACKS)) for name, dual in duals.items()
    }
    for name, certificates in found.items():
        say(f"{name}: {summary(certificates)}")

    # The second picture shows the point with the lowest margin after standard training.
    worst = min(range(POINTS), key=lambda point: found[STANDARD][point].margin)
    output_dir.mkdir(parents=True, exist_ok=True)
    figures = {
        "toy_2d_regions.png": draw_regions(duals, found, x, y),
        "toy_2d_polytopes.png": draw_polytopes(duals, x[worst], int(y[worst])),
    }
    for file_name, figure in figures.items():
        save(figure, output_dir / file_name)
        say(f"Saved {output_dir / file_name}")


if __name__ == "__main__":
    main()
