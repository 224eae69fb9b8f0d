"""autodual: compiles a PyTorch network into its dual network, whose outputs are bounds over all perturbed inputs.

Names are resolved when first used, so that `import autodual` does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodual.bounds import Constraint, Slopes, Split
    from autodual.certification import (
        Cascade,
        CascadeCertificate,
        Certificate,
        Status,
        Verdict,
        attack_cascade,
        certified_radius,
        certify,
        certify_cascade,
        detect,
        verify,
    )
    from autodual.compiler import compile_dual
    from autodual.errors import AutodualError
    from autodual.evaluation import benchmark
    from autodual.exact import exact_bounds, lp_bounds
    from autodual.files import load_cascade, load_model
    from autodual.frontend.onnx import load_onnx
    from autodual.interval import Interval
    from autodual.network import Ask, DualNetwork, JoinedInputs, capture
    from autodual.perturbations import (
        Box,
        L1Ball,
        L2Ball,
        LinfBall,
        LpBall,
        PerturbationSet,
        ProductSet,
        Union,
        WassersteinBall,
    )
    from autodual.properties import load_property
    from autodual.train import robust_loss

_HOMES = {
    "Ask": "autodual.network",
    "Constraint": "autodual.bounds",
    "Slopes": "autodual.bounds",
    "Split": "autodual.bounds",
    "AutodualError": "autodual.errors",
    "Box": "autodual.perturbations",
    "Cascade": "autodual.certification",
    "CascadeCertificate": "autodual.certification",
    "Certificate": "autodual.certification",
    "DualNetwork": "autodual.network",
    "Interval": "autodual.interval",
    "JoinedInputs": "autodual.network",
    "L1Ball": "autodual.perturbations",
    "L2Ball": "autodual.perturbations",
    "LinfBall": "autodual.perturbations",
    "LpBall": "autodual.perturbations",
    "PerturbationSet": "autodual.perturbations",
    "ProductSet": "autodual.perturbations",
    "Status": "autodual.certification",
    "Union": "autodual.perturbations",
    "Verdict": "autodual.certification",
    "WassersteinBall": "autodual.perturbations",
    "attack_cascade": "autodual.certification",
    "benchmark": "autodual.evaluation",
    "capture": "autodual.network",
    "certified_radius": "autodual.certification",
    "certify": "autodual.certification",
    "certify_cascade": "autodual.certification",
    "compile_dual": "autodual.compiler",
    "detect": "autodual.certification",
    "exact_bounds": "autodual.exact",
    "load_cascade": "autodual.files",
    "load_model": "autodual.files",
    "load_onnx": "autodual.frontend.onnx",
    "load_property": "autodual.properties",
    "lp_bounds": "autodual.exact",
    "robust_loss": "autodual.train",
    "verify": "autodual.certification",
}

# Rooms that are reached as attributes of the package; the ones that share a name with a function are not among them.
_ROOMS = (
    "adapters",
    "attacks",
    "data",
    "dual",
    "errors",
    "evaluation",
    "exact",
    "extend",
    "ir",
    "passes",
    "perturbations",
    "properties",
    "specs",
    "testing",
)

__all__ = [*_HOMES, "__version__"]

try:
    __version__ = version("autodual")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return import_module(f"autodual.{name}")
    raise AttributeError(f"module 'autodual' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
