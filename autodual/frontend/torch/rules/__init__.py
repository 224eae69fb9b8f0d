"""How ATen operations are lowered, one file for each topic; importing this package registers all rules."""

from autodual.frontend.torch.rules import (  # noqa: F401 - imported for the rules that they register
    activations,
    arithmetic,
    attention,
    comparisons,
    convolution,
    einsum,
    indexing,
    linear,
    normalization,
    pooling,
    powers,
    reductions,
    resampling,
    scalars,
    scattering,
    shapes,
    slicing,
    statistics,
    steps,
)
