"""Unlabelled samples with pseudo-labels: the classes that a standard classifier, the teacher, gives them."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike

import torch
from torch import Tensor, nn

from autodual.data import load_dataset
from autodual.errors import DataError, InvalidInputError
from autodual.files import load_model_file
from autodual.train.clean_pass import floating_dtype
from autodual.train.recipe.sections import DataSection
from autodual.train.samples import PseudoLabelled, Samples, float32_samples

_AT_ONCE = 500


def with_unlabelled(samples: Samples, section: DataSection, directory: str | PathLike[str] | None = None) -> Samples:
    """The samples together with those of `data.unlabelled`, which `data.teacher` labels now.

    Nothing is added where the section names none. Of a data set with labels these are not looked at.

    Args:
        samples: the labelled ones.
        section: of the recipe.
        directory: where the files of a named data set are.

    Raises:
        DataError: the unlabelled samples cannot be read or have another shape.
        ModelFileError: the teacher cannot be read without running code.
        InvalidInputError: the teacher does not classify such samples into the classes of the labelled ones.
    """
    if not section.unlabelled:
        return samples
    dataset, teacher = load_dataset(section.unlabelled, directory), load_model_file(section.teacher)
    if dataset.shape != tuple(samples.x.shape[1:]):
        raise DataError(
            f"'{dataset.name}' has samples of shape {list(dataset.shape)}, but those with labels have the shape "
            f"{list(samples.x.shape[1:])}."
        )
    x = float32_samples(dataset).to(samples.x.device)
    if not isinstance(teacher.model, nn.Module):
        raise InvalidInputError(
            f"'{section.teacher}' is an exported program; a teacher is a module, a network or ONNX."
        )
    labels = pseudo_labels(teacher.model, x, samples.classes, section.teacher)
    digests = dataset.sha256, teacher.sha256, *(file.sha256 for file in teacher.files)
    return replace(samples, unlabelled=PseudoLabelled(x, labels, digests))


@torch.no_grad()
def pseudo_labels(teacher: nn.Module, x: Tensor, classes: int, name: str) -> Tensor:
    """The classes `[N]` with a teacher's largest scores at samples x `[N, *shape]`, on their device.

    Raises InvalidInputError, calling the teacher by its name, where scores are not finite numbers `[N, K]`, or a
    largest one lies beyond the `classes`.
    """
    teacher, found = teacher.to(x.device).eval(), []
    dtype = floating_dtype(teacher, x.dtype)
    for part in x.split(_AT_ONCE):
        try:
            scores = teacher(part.to(dtype))
        except RuntimeError:
            raise InvalidInputError(
                f"the teacher '{name}' does not run on samples of shape {list(x.shape[1:])}"
            ) from None
        if scores.dim() != 2 or not bool(scores.isfinite().all()):
            raise InvalidInputError(f"the teacher '{name}' does not give each sample one finite score a class")
        found.append(scores.argmax(1))
    labels = torch.cat(found)
    if int(labels.max()) >= classes:
        raise InvalidInputError(
            f"the teacher '{name}' finds class {int(labels.max())}, but the labelled samples have {classes} classes"
        )
    return labels
