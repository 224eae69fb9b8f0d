"""Files that were exported for a fixed batch of samples: the network of one sample, proved from the file's operators.

Each operator's rule says which axis of its results counts the samples, and refuses where samples could influence each
other. What names the batch size is changed to 1 on the way, so that the ordinary lowering takes over from there.
"""

from autodual.frontend.onnx.batch import (  # noqa: F401 - imported for the rules that they register
    layers,
    products,
    shapes,
)
from autodual.frontend.onnx.batch.operation import Mixing
from autodual.frontend.onnx.batch.single_sample import batch_size, for_one_sample

__all__ = ["Mixing", "batch_size", "for_one_sample"]
