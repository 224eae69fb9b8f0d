"""Operators that are refused where they depend on the input, each with the reason that the message gives."""

from __future__ import annotations

from typing import Any

from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Static
from autodual.frontend.onnx.registry import onnx_op

_REASONS = {
    "which entries it picks depends on the network's input; only fixed positions are supported": (
        "ReverseSequence NonZero Unique TopK NonMaxSuppression Compress MaxUnpool"
    ),
    "it works on the bits of numbers, which have no bounds": (
        "BitShift BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitCast"
    ),
    "it works on texts, pictures or maps, which have no bounds": (
        "StringConcat StringNormalizer StringSplit RegexFullMatch TfIdfVectorizer ImageDecoder"
    ),
    "it works on lists or on values that may be absent; export the network without them": (
        "SequenceConstruct SequenceEmpty SequenceAt SequenceErase SequenceInsert SequenceLength SequenceMap "
        "SplitToSequence ConcatFromSequence Optional OptionalGetElement OptionalHasElement"
    ),
    "it repeats a part of the network; export it with the repetitions written out": "Loop Scan",
    "it computes a loss, which is for training; choose an output before it": (
        "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss"
    ),
    "the region that it reads depends on the network's input; only fixed positions are supported": (
        "RoiAlign MaxRoiPool DeformConv AffineGrid"
    ),
    "it computes with whole numbers of eight bits and their overflow; use QuantizeLinear and DequantizeLinear": (
        "ConvInteger MatMulInteger QLinearConv QLinearMatMul DynamicQuantizeLinear"
    ),
    "it keeps values from one call to the next; export the network without its cache": (
        "TensorScatter CausalConvWithState LinearAttention"
    ),
    "no rule lowers it": "Det DFT STFT MelWeightMatrix HannWindow HammingWindow BlackmanWindow",
}


def _refusal(reason: str) -> Any:
    def rule(builder: OnnxBuilder, attributes: Attributes, *operands: Any) -> Static:
        raise Unsupported(reason)

    return rule


for _reason, _names in _REASONS.items():
    onnx_op(*_names.split())(_refusal(_reason))

#: The operators that are refused.
NAMES = frozenset(_name for _names in _REASONS.values() for _name in _names.split())
