"""Files that are no ONNX models, and models that cannot be bounded, are refused in one clear sentence."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

import autodual
from autodual.errors import AutodualError, InvalidInputError, ModelFileError, TraceError, UnsupportedOpsError
from autodual.frontend.onnx import against_runtime, load_onnx_bytes, onnx_op
from autodual.frontend.onnx.runtime import Runtime

from .models import model, node, onnx, weights

RUNTIME = Runtime("onnxruntime", lambda feeds: [])
LAYERS = [node("MatMul", ["x", "w"], "h"), node("Relu", ["h"])]


def network(**changes) -> onnx.ModelProto:
    return model(LAYERS, {"x": ["N", 4]}, {"w": weights(4, 3)}, **changes)


def load(proto: onnx.ModelProto, **options) -> object:
    return load_onnx_bytes("net.onnx", proto.SerializeToString(), **options)


def test_every_unsupported_operator_is_listed() -> None:
    layers = [
        node("Det", ["x"], "a"),
        node("Relu", ["a"], "b"),
        node("Scan", ["x", "w", "r"], ["c"]),
        node("RandomNormalLike", ["x"], "d"),
        node("NonZero", ["x"], "e"),
        node("Sum", ["b", "c", "d", "e"]),
    ]
    with pytest.raises(UnsupportedOpsError) as caught:
        load(model(layers, {"x": [1, 4, 4]}, {"w": weights(1, 8, 4), "r": weights(1, 8, 2)}))
    assert [op.target for op in caught.value.ops] == ["ONNX Det", "ONNX Scan", "ONNX RandomNormalLike", "ONNX NonZero"]
    text = str(caught.value)
    assert "/Det/a" in text and "no rule lowers it" in text and "random" in text and "depends on the network" in text


@pytest.mark.parametrize(
    "layers, constants, reason",
    [
        ([node("Conv", ["x", "x"])], {}, "its weights must not depend on the network's input"),
        ([node("Reshape", ["x", "s"])], {"s": np.array([2000, 4])}, "batch size may be written into the network"),
        ([node("Slice", ["x", "s"])], {"s": np.array([0])}, "no starts or ends"),
        ([node("Transpose", ["x"], perm=[0, 2])], {}, "is not one of 2 axes"),
        ([node("Gather", ["x", "i"], axis=1)], {"i": np.array([9])}, "reads beyond the 4 entries"),
        ([node("Gather", ["x", "i"], axis=5)], {"i": np.array([0])}, "axis 5 of a value with 2 axes"),
        ([node("MatMul", ["x", "w"])], {"w": weights(3, 3)}, "whose product does not exist"),
        ([node("Div", ["x", "z"])], {"z": np.zeros(4, np.float32)}, "divides by zero"),
        ([node("Add", ["x", "z"])], {"z": weights(3)}, "do not fit each other"),
        ([node("Softmax", ["x"], axis=7)], {}, "axis 7"),
        ([node("Pow", ["x", "e"])], {"e": np.array([1, 2, 3, 4], np.float32)}, "differ from entry to entry"),
        ([node("Dropout", ["x", "r", "t"])], {"r": weights(1)[0], "t": np.array(True)}, "training mode"),
        ([node("Cast", ["x"], "c", to=2), node("Cast", ["c"], to=1)], {}, "wrap around"),
        (
            [node("Cast", ["x"], "c", to=7), node("Cast", ["c"], "d", to=3), node("Cast", ["d"], to=1)],
            {},
            "wrap around",
        ),
        ([node("Mod", ["x", "z"], fmod=1)], {"z": np.array([1, 0, 1, 1], np.float32)}, "divides by zero"),
        ([node("Mod", ["w", "x"], fmod=1)], {"w": weights(4)}, "its divisor must not depend on the network's input"),
        ([node("Mul", ["x", "i"])], {"i": np.array(np.inf, np.float32)}, "NaN or infinite"),
    ],
)
def test_reasons(layers: list, constants: dict, reason: str) -> None:
    with pytest.raises(UnsupportedOpsError, match=reason):
        load(model(layers, {"x": [1, 4]}, constants))


def test_weights_that_are_not_finite_are_refused() -> None:
    broken = weights(4, 3)
    broken[1, 1] = np.nan
    proto = model(LAYERS, {"x": ["N", 4]}, {"w": broken})
    with pytest.raises(InvalidInputError, match=r"'tensors\.w' holds NaN or infinity"):
        load(proto)


def test_an_output_must_depend_on_the_input() -> None:
    with pytest.raises(TraceError, match="does not depend on its input"):
        load(model([node("Relu", ["w"])], {"x": [1, 4]}, {"w": weights(4)}))


def damaged(change) -> bytes:
    proto = network()
    change(proto)
    return proto.SerializeToString()


def _external(proto: onnx.ModelProto) -> None:
    tensor = proto.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="weights")


def _short(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].raw_data = b"1234"


def _huge(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].dims[:] = [1 << 40, 1 << 20]


def _unsorted(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].input[0] = "nowhere"


def _old(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 6


def _new(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 999


def _whole(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64


def _no_input(proto: onnx.ModelProto) -> None:
    del proto.graph.input[:]


def _no_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].name = "nowhere"


def _unknown_type(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = 99


@pytest.mark.parametrize(
    "change, message",
    [
        (_external, "keeps weights in other files; load it by its path"),
        (_short, "does not have its stated size"),
        (_huge, "does not have its stated size"),
        (_unsorted, "nothing before the operator '/MatMul/h' computes 'nowhere'"),
        (_old, "uses version 6 of the ONNX operators"),
        (_new, "uses version 999"),
        (_whole, "bounds exist for floating inputs only"),
        (_unknown_type, "of no type that is known"),
        (_no_input, "has no input"),
        (_no_output, "nothing computes its output"),
    ],
)
def test_damaged_models(change, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        load_onnx_bytes("net.onnx", damaged(change))


def test_damaged_files(tmp_path: Path) -> None:
    whole = network().SerializeToString()
    packed = gzip.compress(whole)
    cases = {
        "text.onnx": b"hello, this is no model",
        "empty.onnx": b"",
        "cut.onnx": whole[: len(whole) // 2],
        "cut.onnx.gz": packed[: len(packed) // 2],
        "zeros.onnx": bytes(100),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelFileError, match=name):
            autodual.load_onnx(tmp_path / name)
    with pytest.raises(ModelFileError, match="There is no model file"):
        autodual.load_onnx(tmp_path / "absent.onnx")
    with pytest.raises(ModelFileError, match="cannot be read"):
        autodual.load_onnx(tmp_path)


def test_names_that_are_not_utf8() -> None:
    data = network().SerializeToString()
    with pytest.raises(ModelFileError, match=r"names that are no text|no ONNX model"):
        load_onnx_bytes("net.onnx", data.replace(b"/Relu/y", b"/Rel\xff/y"))


def test_every_truncation_is_refused_or_loads() -> None:
    data = network().SerializeToString()
    for length in range(len(data)):
        try:
            load_onnx_bytes("net.onnx", data[:length], check=False)
        except AutodualError:
            continue


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = network().SerializeToString()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelFileError, match=r"pip install 'autodual\[onnx\]'"):
        load_onnx_bytes("net.onnx", data)


def test_without_onnxruntime_the_reference_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    loaded = load_onnx_bytes("net.onnx", network().SerializeToString())
    assert loaded.agreement is not None and "reference" in loaded.agreement.runtime


def test_a_wrong_rule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from autodual.frontend.onnx import registry
    from autodual.ir.ops import Sigmoid

    monkeypatch.setitem(registry._RULES, ("", "Relu"), lambda builder, _, x: builder.unary(Sigmoid(), x))
    with pytest.raises(TraceError, match="differs from"):
        load(network())
    assert load(network(), check=False).agreement is None


def test_a_second_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="already lowered by"):
        onnx_op("Relu")(lambda builder, _, x: x)


def test_jumps_are_excused_for_a_minority_only() -> None:
    expected = np.array([[1.0], [1.0], [1.0], [0.0], [1.0]])
    found = np.array([[1.0], [1.0], [1.0], [1.0], [1.0]])
    judged = against_runtime._judged("net", RUNTIME, expected, found, 1e-4, 0.0, jumps=True)
    assert judged.samples == 4 and judged.excused == 1
    with pytest.raises(TraceError):
        against_runtime._judged("net", RUNTIME, expected, found, 1e-4, 0.0, jumps=False)
    with pytest.raises(TraceError):
        against_runtime._judged("net", RUNTIME, expected, 1 - found, 1e-4, 0.0, jumps=True)


def test_shapes_that_the_file_leaves_open() -> None:
    layers = [node("Relu", ["x"])]
    assert load(model(layers, {"x": ["N", "C"]})).input_shapes == ((1,),)
    assert load(model(layers, {"x": ["N", "C"]}), shapes={"x": [1, 6]}).input_shapes == ((6,),)
    with pytest.raises(InvalidInputError, match="has no input 'z'"):
        load(model(layers, {"x": ["N", "C"]}), shapes={"z": [1, 6]})
    proto = model(layers, {"x": None})
    with pytest.raises(InvalidInputError, match="does not state the shape"):
        load(proto)
