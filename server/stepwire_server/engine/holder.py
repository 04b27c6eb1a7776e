"""Runs a step graph whose states stay on the device between two steps.

Rows are put into another order, let go or joined by others in two small graphs that run on the
same device. The served graph stays as it was published, and a step whose rows stay as they
are pays for none of it.

Shapes: N rows, R rows that are taken, M rows that join them, * the state's own shape.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.device import Held, HeldStates, Places
from stepwire_server.engine.runtime import OnnxGraph
from stepwire_server.engine.slots import State
from stepwire_zoo import manifest

_ORDER = "order"


class Holder:
    """A step graph, and what rearranges the states that it leaves on the device.

    Nothing of a run is kept here, so any thread may run it.
    """

    def __init__(
        self, graph: OnnxGraph, states: Sequence[manifest.State], runtime: RuntimeConfig
    ) -> None:
        """Makes the graphs that rearrange.

        Args:
            graph: the step graph.
            states: as the manifest declares them.
            runtime: of the step graph.
        """
        self._graph = graph
        self._states = states
        self._taking = OnnxGraph(_rearranging(states, joins=False), "taking.onnx", runtime)
        self._joining = OnnxGraph(_rearranging(states, joins=True), "joining.onnx", runtime)
        self.rows_read = 0  # rows of held states that were copied to the host

    def step(
        self, outputs: list[str], feeds: dict[str, NDArray[Any]], states: State
    ) -> tuple[list[NDArray[Any]], HeldStates]:
        """Runs one step.

        Args:
            outputs: names of the outputs wanted on the host.
            feeds: every input that is no state.
            states: [N, *] each, held or not.

        Returns:
            The outputs, and the next states.
        """
        held = states.on_device() if isinstance(states, HeldStates) else {}
        brought = {} if held else states
        staying = [state.output for state in self._states]
        given, left = self._graph.run_bound(outputs, staying, {**feeds, **brought}, held)
        following = {state.input: left[state.output] for state in self._states}
        return given, HeldStates(following, len(given[0]), self)

    def rearranged(self, held: Held, order: Places, more: State | None) -> Held:
        """Takes rows of held states; see `Holding`."""
        feeds: dict[str, NDArray[Any]] = {_ORDER: np.ascontiguousarray(order)}
        feeds |= {f"more.{name}": value for name, value in (more or {}).items()}
        here = {f"held.{name}": value for name, value in held.items()}
        graph = self._taking if more is None else self._joining
        names = {f"taken.{name}": name for name in held}
        _, taken = graph.run_bound([], [*names], feeds, here)
        return {name: taken[output] for output, name in names.items()}


def _rearranging(states: Sequence[manifest.State], *, joins: bool) -> bytes:
    """A graph that takes rows [R] of each state [N, *], or of it and of another [M, *]."""
    inputs = [helper.make_tensor_value_info(_ORDER, TensorProto.INT64, ["R"])]
    outputs, nodes = [], []
    for state in states:
        rows, kind = f"held.{state.input}", helper.np_dtype_to_tensor_dtype(np.dtype(state.dtype))
        inputs.append(helper.make_tensor_value_info(rows, kind, ["N", *state.shape]))
        if joins:
            more, both = f"more.{state.input}", f"all.{state.input}"
            inputs.append(helper.make_tensor_value_info(more, kind, ["M", *state.shape]))
            nodes.append(helper.make_node("Concat", [rows, more], [both], axis=0))
            rows = both
        taken = f"taken.{state.input}"
        nodes.append(helper.make_node("Gather", [rows, _ORDER], [taken], axis=0))
        outputs.append(helper.make_tensor_value_info(taken, kind, ["R", *state.shape]))
    graph = helper.make_graph(nodes, "rearranging", inputs, outputs)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    return model.SerializeToString()
