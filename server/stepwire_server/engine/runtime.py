"""ONNX Runtime; the only module that meets it.

Shapes: N rows, * a tensor's own shape.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from stepwire_server.config import PROVIDERS, RuntimeConfig
from stepwire_server.errors import StartupError
from stepwire_zoo.errors import FileMismatch, ProviderMissing

RUNTIME = f"ONNX Runtime {onnxruntime.__version__}"
DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(string)": "bytes",
}

Arrays = dict[str, NDArray[Any]]


class Port(NamedTuple):
    """An input or an output as the file declares it."""

    name: str
    dtype: str  # as NumPy names it, or as ONNX Runtime does where NumPy has none
    shape: tuple[int | str | None, ...]  # a size, a name for one that varies, or nothing


class OnnxGraph:
    """A graph in ONNX Runtime."""

    def __init__(self, data: bytes, file: str, runtime: RuntimeConfig) -> None:
        """Loads a graph.

        Args:
            data: the ONNX file.
            file: what to call it in errors.
            runtime: provider and threads.

        Raises:
            FileMismatch: it is no ONNX file, or wants data from outside itself.
            ProviderMissing: the provider did not start.
        """
        _refuse_external_data(data, file)
        try:
            self._session = onnxruntime.InferenceSession(
                data,
                _session_options(runtime),
                providers=_providers(runtime),
                # Where there is nothing to fall back to, trying it only prints on stdout.
                enable_fallback=int(runtime.provider != "cpu"),
            )
        # ONNX Runtime raises a class of its own for each status, all of them Exceptions.
        except Exception as error:
            raise FileMismatch(f"{file} cannot be loaded: {error}") from error
        self._quietly = _quietly()
        self._device = runtime.provider  # the devices are named as their providers are here
        self.inputs = _ports(self._session.get_inputs())
        self.outputs = _ports(self._session.get_outputs())
        if self.provider != PROVIDERS[runtime.provider]:
            # ONNX Runtime falls back to the CPU when a driver or a library is missing.
            raise ProviderMissing(f"{PROVIDERS[runtime.provider]} did not start: see its log")

    @property
    def provider(self) -> str:
        """Execution provider that runs it, as ONNX Runtime names it."""
        return str(self._session.get_providers()[0])

    def run(self, outputs: list[str], feeds: Arrays) -> list[NDArray[Any]]:
        """Runs the graph once; other threads go on meanwhile.

        Args:
            outputs: names of the outputs wanted.
            feeds: every input by name, C-contiguous.

        Returns:
            The outputs in the order of their names.
        """
        return list(self._session.run(outputs, feeds, self._quietly))

    def run_bound(
        self, outputs: list[str], staying: list[str], feeds: Arrays, held: Mapping[str, Any]
    ) -> tuple[list[NDArray[Any]], dict[str, Any]]:
        """Runs the graph once; some tensors are on its device already, or stay there.

        Args:
            outputs: names of the outputs wanted on the host.
            staying: names of those that stay.
            feeds: inputs that are on the host, by name, C-contiguous.
            held: the others, as an earlier run left them on the device.

        Returns:
            The outputs in the order of their names, and by name those that stay.
        """
        # Made anew for every run: it keeps what it was given, and threads may share the graph.
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, array)
        for name, value in held.items():
            binding.bind_ortvalue_input(name, value)
        for name in outputs:
            binding.bind_output(name)
        for name in staying:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding, self._quietly)
        given = binding.get_outputs()
        left = dict(zip(staying, given[len(outputs) :], strict=True))
        return [value.numpy() for value in given[: len(outputs)]], left

    def run_within(self, limit_s: float, outputs: list[str], feeds: Arrays) -> list[NDArray[Any]]:
        """Runs a graph once that nobody has run yet: it may never end.

        Args:
            limit_s: after this it is ended, at the next of its operators.
            outputs: as of `run`.
            feeds: as of `run`.

        Raises:
            TimeoutError: it took longer.
        """
        options = _quietly()
        ending = threading.Timer(limit_s, setattr, (options, "terminate", True))
        ending.daemon = True
        ending.start()
        try:
            return list(self._session.run(outputs, feeds, options))
        except Exception as error:
            if options.terminate:
                raise TimeoutError(f"a run took longer than {limit_s:g} s") from error
            raise
        finally:
            ending.cancel()


def _quietly() -> onnxruntime.RunOptions:
    """What a run is refused for is raised; on stderr too, a caller could fill the disk with it."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    # No run is recorded as a CUDA graph. A bound run looks for this; not to find it takes it
    # longer than everything else that is done for binding.
    options.add_run_config_entry("gpu_graph_id", "-1")
    return options


# What a node says of numbers or shapes that it cannot work with. The class alone does not
# tell: a shape that does not fit is a Fail, and so is memory that has run out.
_ABOUT_INPUTS = (InvalidArgument, Fail, RuntimeException)
_ABOUT_THE_MACHINE = re.compile(r"alloc|out of memory|cuda|cudnn|cublas", re.IGNORECASE)
_WHERE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : "  # the status
    r"(Non-zero status code .*? Status Message: )?"  # the node
    r"(/\S+:\d+ .*? was false\. )?",  # the place in its source
    re.DOTALL,
)
_LONGEST = 160


def refusal_of(error: Exception) -> str:
    """What a run of a graph found wrong with its inputs; empty: they are not to blame."""
    text = str(error)
    if not isinstance(error, _ABOUT_INPUTS) or _ABOUT_THE_MACHINE.search(text):
        return ""
    said = " ".join(_WHERE.sub("", text, count=1).split()) or "no reason is given"
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."


def _ports(arguments: Sequence[Any]) -> tuple[Port, ...]:
    return tuple(Port(a.name, DTYPES.get(a.type, a.type), tuple(a.shape)) for a in arguments)


def check_provider(name: str) -> None:
    """Raises StartupError if this ONNX Runtime cannot run on a provider, "cpu" or "cuda"."""
    available = onnxruntime.get_available_providers()
    if PROVIDERS[name] not in available:
        raise StartupError(
            f"provider {name!r} is not there: this ONNX Runtime {onnxruntime.__version__} has "
            f"{', '.join(available)}" + (CUDA_HINT if name == "cuda" else "")
        )


CUDA_HINT = "; CUDA needs the extra server-gpu (onnxruntime-gpu) instead of server"


def _providers(runtime: RuntimeConfig) -> list[str]:
    wanted = PROVIDERS[runtime.provider]
    # CUDA leaves the odd operation to the CPU; the CPU leaves nothing to others.
    return [wanted] if runtime.provider == "cpu" else [wanted, PROVIDERS["cpu"]]


def _session_options(runtime: RuntimeConfig) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.threads_per_run
    options.inter_op_num_threads = 1
    # Workers that spin take the cores from the event loop and from other models.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; what they mean for a bundle is raised
    return options


def _refuse_external_data(data: bytes, file: str) -> None:
    """A graph could name any file of the machine as its weights."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError, or whatever onnx makes of it
        raise FileMismatch(f"{file} is not an ONNX file: {error}") from error
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise FileMismatch(
                f"{file} keeps tensor {tensor.name!r} outside itself; to put everything into one "
                f'file: onnx.save(onnx.load("{file}"), "whole.onnx")'
            )


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[onnx.TensorProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            # An attribute without a graph has an empty one.
            yield from _graph_tensors(graph)
