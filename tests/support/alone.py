"""A bundle's step graph, run alone in ONNX Runtime: one row, one step after the other."""

import numpy as np
import onnxruntime

from stepwire_zoo.bundle import open_bundle


class Alone:
    """What no server, no batch and no neighbour has a part in."""

    def __init__(self, folder):
        bundle = open_bundle(folder)
        self._spec = bundle.manifest.graphs["step"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            bundle.read_all()[self._spec.file], options, providers=["CPUExecutionProvider"]
        )
        self.start = {
            state.input: np.zeros((1, *state.shape), state.dtype) for state in self._spec.states
        }

    def run(self, inputs, state=None):
        """Takes the steps of some inputs: tokens, or rows of features.

        Returns:
            The outputs behind each input, flat lists by role, and the state after them.
        """
        state, told = state or self.start, []
        [read] = self._spec.inputs
        for each in inputs:
            given = np.array([each], read.dtype)
            roles = {tensor.name: tensor.role for tensor in self._spec.outputs}
            names = [*roles, *(part.output for part in self._spec.states)]
            found = dict(
                zip(names, self._session.run(names, {read.name: given, **state}), strict=True)
            )
            told.append({role: found[name].ravel().tolist() for name, role in roles.items()})
            state = {part.input: found[part.output] for part in self._spec.states}
        return told, state
