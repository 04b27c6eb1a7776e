"""Whether this machine multiplies 8-bit integers exactly.

CPUs without an instruction for it add pairs of products in 16 bits, where 2 x 255 x 127 does
not fit: the sum is cut off, and what was trained is not what is served.
"""

from functools import cache

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.runtime import OnnxGraph

_INPUTS, _OUTPUTS = 515, 67  # no multiples of what a vector instruction takes
_ROWS = (1, 2, 7, 64)  # for which kernels differ


@cache
def multiplies_exactly(runtime: RuntimeConfig) -> bool:
    """Multiplies the most extreme operands there are, and compares with exact sums."""
    rng = np.random.default_rng(0)
    weights = rng.choice(np.array([-127, 127], np.int8), size=(_INPUTS, _OUTPUTS))
    weights[:, 0], weights[:, 1] = 127, -127
    graph = OnnxGraph(_product_by(weights), "saturation.onnx", runtime)
    for rows in _ROWS:
        inputs = rng.choice(np.array([0, 255], np.uint8), size=(rows, _INPUTS))
        inputs[0] = 255
        [found] = graph.run(["y"], {"x": inputs})
        if not np.array_equal(found, inputs.astype(np.int32) @ weights.astype(np.int32)):
            return False
    return True


def _product_by(weights: np.ndarray) -> bytes:
    """A graph that multiplies uint8 [N, I] by constant weights int8 [I, G]: int32 [N, G]."""
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node],
        "saturation",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", len(weights)])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, ["N", weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    return model.SerializeToString()
