"""
Certify against moved mass
==========================

In a Wasserstein ball no pixel changes by itself: ink moves to neighbouring pixels, and none is made or lost. The radius
is the share of all ink that may move by one pixel.
"""

# %%
# A network that was trained to withstand changes of single pixels, and digits of the MNIST test set; both ship with
# autodual.

import matplotlib.pyplot as plt
import torch

import autodual
from autodual.attacks import FrankWolfe
from autodual.data import load_dataset

model = autodual.load_model("../mnist_small.pt").requires_grad_(False)
data = load_dataset("sample").slice(5, 10)
images, labels = data.x, data.y
dual = autodual.compile_dual(model, images[:1])

# %%
# Each digit is certified by the largest value of linear functions over the ball, which is a minimum over one number,
# the price of moving mass. Intervals of pixels allow all of them to receive the whole budget at once, and prove
# nothing at the same radius.

ball = autodual.WassersteinBall(0.005, window=5)
intervals = ball.at(images).enclosure()
for name, region in {"the ball": ball, "its pixels' intervals": autodual.Box(intervals.lower, intervals.upper)}.items():
    certificates = autodual.certify(dual, images, region, labels=labels)
    print(f"{name}: {sum(certificate.certified for certificate in certificates)} of {len(images)} certified")

# %%
# Certified and unbroken digits at several radii. The attack steps towards the image of the ball at which the linearised
# margin is least, and never leaves the ball.

attack, shares = FrankWolfe(steps=20), {"certified": [], "not broken by the attack": []}
radii = [0.005, 0.01, 0.02]
for radius in radii:
    certificates = autodual.certify(dual, images, autodual.WassersteinBall(radius), labels=labels, attack=attack)
    shares["certified"].append(sum(one.certified for one in certificates) / len(images))
    broken = sum(one.status in (autodual.Status.MISCLASSIFIED, autodual.Status.FALSIFIED) for one in certificates)
    shares["not broken by the attack"].append(1 - broken / len(images))

figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (name, heights), colour in zip(shares.items(), ("#1b6ca8", "#d95f02")):
    axis.plot(radii, heights, "o-", color=colour, label=name)
axis.set(xlabel="radius: share of the mass that moves by one pixel", ylabel="share of images", ylim=(0, 1.05))
axis.legend()

# %%
# What the attack finds at larger radii: the mass is the same in all images.

nine, label = images[2:3], autodual.specs.ClassMargin(labels[2:3])
figure, axes = plt.subplots(1, 4, figsize=(7, 2.1), layout="constrained")
for axis, radius in zip(axes, (0.0, 0.05, 0.1, 0.3)):
    found = attack.run(model, autodual.WassersteinBall(radius).at(nine), label)
    assert torch.isclose(found.sum(), nine.sum(), rtol=1e-5)
    axis.imshow(found[0, 0], cmap="gray_r", vmin=0, vmax=1)
    axis.set(title=f"{radius:g}: {int(model(found).argmax())}", xticks=[], yticks=[])
