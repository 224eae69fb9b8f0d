"""A sign that an evaluation is broken, as data."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class MaskingSign:
    """A reason to distrust the robust accuracy that an attack has measured.

    Args:
        name: of lower-case letters and dashes, always the same for the same kind of sign.
        figure: how strong the sign is; a share of samples between 0 and 1 unless `text` says otherwise.
        text: one sentence that says what was seen, what it means, and what to do.

    Example:
        >>> from autodual.evaluation import MaskingSign
        >>> print(MaskingSign("zero-gradients", 1.0, "The gradient is zero at 100 % of the samples."))
        The gradient is zero at 100 % of the samples.
    """

    name: str
    figure: float
    text: str

    def __str__(self) -> str:
        return self.text


def sign_of_share(name: str, samples: Tensor, text: str, tolerated: float = 0.03) -> MaskingSign | None:
    """The sign that too large a share of samples shows; None if it is one sample, or so few that chance explains them.

    Args:
        name: as in `MaskingSign`.
        samples: which of them show it, bool `[N]`.
        text: as in `MaskingSign`, with `{share}` where the share belongs.
        tolerated: the largest share that is no sign.
    """
    count = int(samples.sum())
    share = count / max(samples.shape[0], 1)
    if count < 2 or share <= tolerated:
        return None
    return MaskingSign(name, share, text.format(share=f"{100 * share:.3g} %"))
