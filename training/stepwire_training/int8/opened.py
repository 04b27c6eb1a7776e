"""An ONNX graph, opened for reading: who makes what, what is constant, how wide it is."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference


class Opened:
    """A graph whose nodes are looked at."""

    def __init__(self, content: bytes) -> None:
        """Opens a file; its nodes are in an order in which they can run."""
        self.model = onnx.load_model_from_string(content)
        graph = self.model.graph
        self.nodes = list(graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self.uses = Counter(name for node in self.nodes for name in node.input)
        self.uses.update(output.name for output in graph.output)
        inferred = shape_inference.infer_shapes(self.model, data_prop=True).graph
        self._sizes = {
            value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
        }

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value of a tensor that never changes, widened if it is stored in fewer bits."""
        if name in self._stored:
            return numpy_helper.to_array(self._stored[name])
        maker = self.makers.get(name)
        if maker is None or maker.op_type not in ("Cast", "Mul", "Concat"):
            return None
        parts = [part for each in maker.input if (part := self.constant(each)) is not None]
        if len(parts) < len(maker.input):
            return None
        if maker.op_type == "Mul":  # whole numbers by the scales of their rows
            return parts[0] * parts[1]
        if maker.op_type == "Concat":  # matrices with scales of their own
            return np.concatenate(parts, axis=attribute(maker, "axis", 0))
        kind = onnx.helper.tensor_dtype_to_np_dtype(attribute(maker, "to", 0))
        return parts[0].astype(kind)

    def width(self, name: str) -> int:
        """Size of the last axis of a tensor; 0 where it varies or is not known."""
        sizes = self._sizes.get(name)
        return sizes[-1] if sizes else 0

    def dimensions(self, name: str) -> int:
        """How many axes a tensor has; 0 where nobody knows."""
        return len(self._sizes.get(name, ()))


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """A setting of a node that is a whole number."""
    return next((int(each.i) for each in node.attribute if each.name == name), default)
