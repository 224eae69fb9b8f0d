"""A perturbation set of your own, in one file: a shift of the whole image's brightness, and a box around that.

autodual --extension own_set.py train --norm brightness --eps 0.02 --shift 0.1 --output run ...
autodual --extension own_set.py certify run/network.pt
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from autodual.extend import (
    Interval,
    PerturbationSet,
    Range,
    Region,
    SetParameter,
    aligned,
    end_rounding,
    like,
    named_set,
)


@named_set(
    "brightness",
    "brightness shift and box",
    parameters=(
        SetParameter("shift", float, "Largest change of all pixels together.", default=0.1, range=Range(0, 1e6)),
    ),
    formula="{point} = x + s + e, |s| ≤ {shift} for all pixels alike, ‖e‖∞ ≤ {radius}",
)
@dataclass(frozen=True, eq=False)
class Brightness(PerturbationSet):
    """{x + s + e : |s| ≤ shift, |e_i| ≤ radius for every feature i}, with one number s for all features."""

    radius: float | torch.Tensor
    shift: float = 0.1

    def bind(self, x):
        radius = aligned(self.radius, x, "radius", vector_is_per_sample=True)
        shift = aligned(self.shift, x, "shift")
        source = replace(self, radius=radius, shift=shift)
        per_sample = [like(value, x).flatten(1)[:, 0].expand(x.shape[0]) for value in (radius, shift)]
        return BrightnessRegion(source, x, *per_sample)

    @property
    def neighbourhood(self):
        return True

    def symmetric(self, x):
        radius = aligned(self.radius, x, "radius", vector_is_per_sample=True)
        return bool((radius == radius[:1]).all())

    def scaled(self, factor):
        return replace(self, radius=self.radius * factor, shift=self.shift * factor)

    def describe(self):
        return f"brightness shift of {_words(self.shift)} and box of radius {_words(self.radius)}, unclipped"

    def settings(self):
        return {"set": "Brightness", "radius": _words(self.radius), "shift": _words(self.shift)}


@dataclass(frozen=True, eq=False)
class BrightnessRegion(Region):
    """The set placed around samples; `radius` and `shift` are `[N]`. All answers are exact."""

    radius: torch.Tensor
    shift: torch.Tensor

    def enclosure(self):
        return Interval.around(self.centre, self.per_feature(self.radius + self.shift))

    def extremes(self, nu, view):
        value = (nu * view.features(self.centre)).flatten(2).sum(2)
        # The box contributes the l1 norm of a row, the shift the absolute value of the row's sum.
        spread = view.samples(self.radius) * nu.abs().flatten(2).sum(2)
        spread = spread + view.samples(self.shift) * nu.flatten(2).sum(2).abs()
        return value - spread, value + spread

    def rounding(self):
        return end_rounding(self)

    def contains(self, points, tolerance=0.0):
        least, greatest = self._shifts(points)
        radius, shift = self.radius + tolerance, self.shift + tolerance
        return (greatest - radius).maximum(-shift) <= (least + radius).minimum(shift)

    def project(self, points):
        """The nearest point; the best shift, where the derivative of the distance is zero, is found by bisection."""
        offset = points - self.centre
        radius, most = map(self.per_feature, self._room)
        axes = tuple(range(-len(self.shape), 0))
        low, high = (end.expand_as(offset.sum(axes, keepdim=True)) for end in (-most, most))
        for _ in range(60):
            middle = (low + high) / 2
            rest = offset - middle
            pull = (rest - rest.clamp(-radius, radius)).sum(axes, keepdim=True)
            low, high = torch.where(pull > 0, middle, low), torch.where(pull > 0, high, middle)
        nearest = self.centre + low + (offset - low).clamp(-radius, radius)
        return torch.where(self.per_feature(self.contains(points)), points, nearest)

    def steepest(self, gradient):
        return self.centre + self._step(gradient, *self._room)

    def direction(self, gradient):
        return self._step(gradient, self.radius, self.shift)

    def sample(self, count, generator=None):
        return self._random(count, lambda size: (3 * self._uniform(size, generator) - 1.5).clamp(-1, 1))

    def corners(self, count, generator=None):
        return self._random(count, lambda size: (self._uniform(size, generator) < 0.5).to(self.centre.dtype) * 2 - 1)

    def _step(self, gradient, radius, shift):
        axes = tuple(range(-len(self.shape), 0))
        up = gradient.sum(axes, keepdim=True).sign()
        return self.per_feature(radius) * gradient.sign() + self.per_feature(shift) * up

    def _random(self, count, numbers):
        box, shift = numbers((count, *self.centre.shape)), numbers((count, self.count))
        radius, most = self._room
        return self.centre + (self.per_feature(shift * most) + box * self.per_feature(radius))

    def _uniform(self, size, generator):
        return torch.rand(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device)

    def _shifts(self, points):
        """The least and the greatest entry of point − sample, `[*, N]`."""
        offset = (
            (points - self.centre).flatten(-len(self.shape)) if self.shape else (points - self.centre).unsqueeze(-1)
        )
        return offset.amin(-1), offset.amax(-1)

    @property
    def _room(self):
        """Radius and shift `[N]`, minus the rounding error of a sum of three numbers.

        A shift is rounded differently in each feature, and only a box has room for that: without one, the shift is 0.
        """
        largest = self.centre.abs().flatten(1).amax(1) + self.radius + self.shift
        loss = 4 * torch.finfo(self.centre.dtype).eps * largest
        radius = (self.radius - loss).clamp(min=0)
        return radius, torch.where(radius > 0, (self.shift - loss).clamp(min=0), 0)


def _words(value):
    numbers = torch.as_tensor(value, dtype=torch.float64).detach()
    least, greatest = float(numbers.min()), float(numbers.max())
    return f"{least:g}" if least == greatest else f"{least:g} to {greatest:g}"
