"""
A controller that stays safe
============================

A small network steers a mass on a line, without friction, towards the origin. Does it get there from *every*
start in a box without ever leaving the track? Bounds of the closed loop answer that: they enclose all states that any
start can reach.
"""

# %%
# The state is position and velocity, one step lasts 0.25 s, and the network chooses the force. The closed loop, from
# one state to the next, is a module like any other.

import matplotlib.pyplot as plt
import torch
from torch import nn

import autodual
from autodual.specs import OutputBox


class Loop(nn.Module):
    def __init__(self, step=0.25):
        super().__init__()
        self.force = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.register_buffer("drift", torch.tensor([[1.0, step], [0.0, 1.0]]))
        self.register_buffer("push", torch.tensor([[step * step / 2, step]]))

    def forward(self, state):
        return state @ self.drift.T + self.force(state) @ self.push


torch.manual_seed(0)
loop = Loop()
optimiser = torch.optim.Adam(loop.force.parameters(), lr=1e-2)
for _ in range(300):
    state, cost = 3 * (torch.rand(64, 2) - 0.5), torch.zeros(())
    for _ in range(12):
        state = loop(state)
        cost = cost + (state**2).sum(1).mean() + 0.05 * (loop.force(state) ** 2).mean()
    optimiser.zero_grad()
    cost.backward()
    optimiser.step()

# %%
# The starts: positions from 0.8 to 1, velocities from −0.1 to 0.1. They are cut into cells, whose bounds are computed
# side by side, as samples of one batch; each step bounds the image of each cell's box.

CELLS, STEPS = 12, 14
edges = torch.linspace(0, 1, CELLS + 1)
lower = torch.cartesian_prod(0.8 + 0.2 * edges[:-1], -0.1 + 0.2 * edges[:-1])
upper = torch.cartesian_prod(0.8 + 0.2 * edges[1:], -0.1 + 0.2 * edges[1:])
states = torch.tensor([0.8, -0.1]) + torch.tensor([0.2, 0.2]) * torch.rand(400, 2)
dual = autodual.compile_dual(loop, lower)
identity = torch.eye(2)

tube, runs = [(lower, upper)], [states]
with torch.no_grad():
    for _ in range(STEPS):
        box = autodual.Box(lower, upper)
        middle = (lower + upper) / 2
        lower, upper = (
            dual.lower_bounds(middle, box, identity, slopes="adaptive"),
            dual.upper_bounds(middle, box, identity, slopes="adaptive"),
        )
        tube.append((lower, upper))
        runs.append(loop(runs[-1]))

# %%
# The tube of all boxes, and 400 runs inside it. The last line prints an upper bound of the position.

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for step, (low, high) in enumerate(tube):
    for corner, size in zip(low.tolist(), (high - low).tolist()):
        axis.add_patch(plt.Rectangle(corner, *size, color=plt.cm.Blues(0.35 + 0.4 * step / STEPS), linewidth=0))
for points in runs:
    axis.plot(*points.T, ".", markersize=1, color="black")
axis.set(xlabel="position", ylabel="velocity")
axis.autoscale_view()
furthest = max(float(high[:, 0].max()) for _, high in tube)
nearest, last = float(lower[:, 0].min()), float(upper[:, 0].max())
print(f"the position stays below {furthest:.3f} and ends in [{nearest:.3f}, {last:.3f}]")

# %%
# The same as a certificate, which allows for its own rounding: from the box around the origin the loop returns into
# the box.

near = autodual.Box(torch.tensor([-0.4, -0.4]), torch.tensor([0.4, 0.4]))
for certificate in autodual.certify(dual, torch.zeros(1, 2), near, spec=OutputBox(-0.5, 0.5)):
    print(certificate.status, certificate.margins)
