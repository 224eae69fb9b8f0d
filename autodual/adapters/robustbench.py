"""Networks of RobustBench's model zoo."""

from __future__ import annotations

from os import PathLike

from torch import nn

from autodual.adapters.packages import required

_INSTALL = "git+https://github.com/RobustBench/robustbench"


def load_robustbench(
    name: str, *, dataset: str = "cifar10", threat: str = "Linf", folder: str | PathLike[str] = "models"
) -> nn.Module:
    """A network of RobustBench's zoo, in evaluation mode; the package downloads it where it is not in the folder.

    Its inputs are images in [0, 1]: it normalises them itself.

    Args:
        name: in the zoo, such as "Carmon2019Unlabeled".
        dataset: "cifar10", "cifar100" or "imagenet".
        threat: "Linf", "L2" or "corruptions".
        folder: where the zoo keeps its files.

    Raises:
        InvalidInputError: RobustBench is not installed.

    Example:
        >>> from autodual.adapters import load_robustbench
        >>> load_robustbench("Carmon2019Unlabeled")  # doctest: +SKIP
    """
    utils = required("robustbench.utils", _INSTALL)
    model: nn.Module = utils.load_model(model_name=name, model_dir=folder, dataset=dataset, threat_model=threat)
    return model.eval()
