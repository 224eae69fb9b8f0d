"""
Certify a network
=================

Is the class of an image the same for *every* change of its pixels by at most 0.1? An attack can only ever say no. A
certificate says yes: it is a bound over the whole set of perturbed images.
"""

# %%
# The network ships with autodual and was trained to be certified; any ``nn.Module`` would do. The images are the
# first of the MNIST test set.

import matplotlib.pyplot as plt
import torch

import autodual
from autodual.attacks import Pgd
from autodual.data import load_dataset

model = autodual.load_model("../mnist_small.pt")
data = load_dataset("sample").slice(0, 60)
images, labels = data.x, data.y

# %%
# ``compile_dual`` makes the dual network, ``LinfBall`` is the set, and ``certify`` returns one certificate per sample.
# Where no bound proves the class, the attack searches for an image with another class.

dual = autodual.compile_dual(model, images[:1])
certificates = autodual.certify(
    dual, images, autodual.LinfBall(0.1, domain=(0.0, 1.0)), labels=labels, attack=Pgd(steps=20)
)

for status in autodual.Status:
    print(f"{status}: {sum(certificate.status is status for certificate in certificates)} of {len(certificates)}")

# %%
# The margin is a lower bound of the label's score minus the largest other score, over the whole set. It is positive
# exactly where the class is proved.

margins = torch.tensor([certificate.margin for certificate in certificates])
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
axis.hist(margins.numpy(), bins=24, color="#1b6ca8")
axis.axvline(0.0, color="black", linewidth=0.8)
axis.set(xlabel="certified margin", ylabel="images")

# %%
# The share of images that are certified, and the share that the attack does not break, at several radii. The share of
# images that really are robust lies between the two.

radii = [0.0, 0.05, 0.1, 0.15]
certified, unbroken = [], []
for radius in radii:
    found = autodual.certify(
        dual, images, autodual.LinfBall(radius, domain=(0.0, 1.0)), labels=labels, attack=Pgd(steps=10)
    )
    statuses = [certificate.status for certificate in found]
    certified.append(statuses.count(autodual.Status.CERTIFIED) / len(found))
    broken = statuses.count(autodual.Status.MISCLASSIFIED) + statuses.count(autodual.Status.FALSIFIED)
    unbroken.append(1 - broken / len(found))

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.fill_between(radii, certified, unbroken, color="#d6e5f1")
axis.plot(radii, unbroken, "o-", color="#d95f02", label="not broken by the attack")
axis.plot(radii, certified, "o-", color="#1b6ca8", label="certified")
axis.set(xlabel="radius", ylabel="share of images", ylim=(0, 1.02))
axis.legend()

# %%
# One image that the attack breaks at a larger radius: the original, the perturbed image and their difference,
# magnified.

ball = autodual.LinfBall(0.15, domain=(0.0, 1.0))
found = autodual.certify(dual, images, ball, labels=labels, attack=Pgd(steps=20))
index = next(place for place, one in enumerate(found) if one.status is autodual.Status.FALSIFIED)
original, perturbed = images[index, 0], found[index].counterexample[0]
wrong = int(model(perturbed[None, None]).argmax())

figure, axes = plt.subplots(1, 3, figsize=(6, 2.3), layout="constrained")
pictures = (original, perturbed, (0.5 + 2.5 * (perturbed - original)).clip(0, 1))
titles = (f"original: {int(labels[index])}", f"perturbed: {wrong}", "difference, magnified")
for axis, picture, title in zip(axes, pictures, titles):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set(title=title, xticks=[], yticks=[])
