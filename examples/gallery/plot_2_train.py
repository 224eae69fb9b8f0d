"""
Train a network to be certified
===============================

Two networks learn the same points of the plane from the same random weights: one as usual, one with the robust loss,
an upper bound of the loss at the worst point of a box around each sample.
"""

# %%
# Points of two classes, no two of different classes closer than twice the radius in the l∞ norm.

import copy

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

import autodual

RADIUS = 0.08
generator = torch.Generator().manual_seed(3)
points = torch.rand(400, 2, generator=generator)
kept: list[torch.Tensor] = []
for point in points:
    if all((point - other).abs().max() > 2.5 * RADIUS for other in kept):
        kept.append(point)
x = torch.stack(kept[:12])
labels = torch.randint(2, (len(x),), generator=generator)

torch.manual_seed(0)
standard = nn.Sequential(nn.Linear(2, 60), nn.ReLU(), nn.Linear(60, 60), nn.ReLU(), nn.Linear(60, 2))
robust = copy.deepcopy(standard)

# %%
# Ordinary training, and the same loop with another loss. The dual network shares the parameters of the network it was
# compiled from, so the optimiser needs nothing new. The radius grows from 0, since bounds of a random network are too
# loose to learn from.


def train(network, loss, steps=500):
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    history = []
    for step in range(steps):
        optimiser.zero_grad()
        value = loss(min(1.0, 3 * step / steps))
        value.backward()
        optimiser.step()
        history.append(value.item())
    return history


dual = autodual.compile_dual(robust, x)
losses = {
    "standard": train(standard, lambda share: functional.cross_entropy(standard(x), labels)),
    "robust": train(robust, lambda share: autodual.robust_loss(dual, x, labels, autodual.LinfBall(share * RADIUS))),
}

figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
for name, history in losses.items():
    axis.semilogy(history, label=name)
axis.set(xlabel="step", ylabel="loss")
axis.legend()

# %%
# What can be certified for each network? A box is solid where the class is proved for all of its points.

side = torch.linspace(-0.15, 1.15, 201)
plane = torch.cartesian_prod(side, side)
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained", sharey=True)
for axis, (name, network) in zip(axes, {"standard": standard, "robust": robust}.items()):
    certificates = autodual.certify(autodual.compile_dual(network, x), x, autodual.LinfBall(RADIUS), labels=labels)
    count = sum(certificate.certified for certificate in certificates)
    print(f"{name} training: {count} of {len(x)} boxes certified")
    with torch.no_grad():
        regions = network(plane).argmax(1).reshape(201, 201)
    axis.contourf(side, side, regions.T, levels=[-0.5, 0.5, 1.5], colors=["#d6e5f1", "#fbe0cb"])
    for point, label, certificate in zip(x, labels, certificates):
        colour = ("#1b6ca8", "#d95f02")[int(label)]
        corner = (float(point[0]) - RADIUS, float(point[1]) - RADIUS)
        style = "-" if certificate.certified else ":"
        axis.add_patch(plt.Rectangle(corner, 2 * RADIUS, 2 * RADIUS, fill=False, edgecolor=colour, linestyle=style))
        axis.plot(*point, "o", color=colour, markersize=3)
    axis.set(title=f"{name} training: {count} of {len(x)} certified", aspect="equal")
