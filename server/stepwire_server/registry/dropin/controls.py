"""Inputs that say where in its sequence a request stands, filled in here.

Triton's users put a reset into the graph and have the server drive it: an input that is
true on the first request of a sequence. N rows.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stepwire_server.engine.tensors import Asked, Cancel, Done, Failed
from stepwire_server.registry.dropin.model import DropInModel
from stepwire_server.registry.dropin.triton_config import Control
from stepwire_server.registry.signature import TensorSpec


class ControlledModel:
    """A model of sequences whose callers do not see its control inputs."""

    def __init__(self, model: DropInModel, controls: Mapping[str, Control]) -> None:
        signature = model.signature
        self._model = model
        self._controls = controls
        self._filled = [spec for spec in signature.inputs if spec.name in controls]
        seen = tuple(spec for spec in signature.inputs if spec.name not in controls)
        self.signature = replace(signature, inputs=seen)

    @property
    def layout(self) -> object:
        """Of a row's packed state."""
        return self._model.layout

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues a request; raises as `AnsweringModel.begin`."""
        filled = {spec.name: self._fill(spec, asked) for spec in self._filled}
        return self._model.begin(replace(asked, tensors={**asked.tensors, **filled}), done, failed)

    def _fill(self, spec: TensorSpec, asked: Asked) -> np.ndarray:
        """One control, [N, 1, ...]."""
        control = self._controls[spec.name]
        holds = not control.starts or asked.states is None
        shape = [1 if size == -1 else size for size in spec.shape]
        if spec.batch_axis is not None:
            shape[spec.batch_axis] = asked.rows
        return np.full(shape, control.true if holds else control.false, spec.dtype)
