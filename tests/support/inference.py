"""Requests of the Open Inference Protocol, written by hand."""

import numpy as np

from stepwire_server.oip import inference_pb2 as pb

KINDS = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
DATATYPES = {"int64": "INT64", "float32": "FP32", "object": "BYTES", "bool": "BOOL"}


def infer_request(model, tensors, *, request_id="", version="", outputs=(), **parameters):
    """A request with raw contents."""
    message = pb.ModelInferRequest(model_name=model, model_version=version, id=request_id)
    for name, tensor in tensors.items():
        datatype = DATATYPES[tensor.dtype.name]
        message.inputs.add(name=name, datatype=datatype, shape=tensor.shape)
        message.raw_input_contents.append(_raw(tensor))
    for name in outputs:
        message.outputs.add(name=name)
    for name, value in parameters.items():
        setattr(message.parameters[name], KINDS[type(value)], value)
    return message


def _raw(tensor):
    if tensor.dtype != object:
        return tensor.tobytes()
    return b"".join(len(text).to_bytes(4, "little") + text for text in tensor.ravel())


def token_step(token, id, *, model="tiny", **settings):
    """One step of a sequence."""
    tensors = {"token": np.array([[token]], np.int64)}
    return infer_request(model, tensors, sequence_id=id, **settings)


def steps_of(tokens, id, **settings):
    """A whole sequence, a request for each step."""
    last = len(tokens) - 1
    return [
        token_step(
            token,
            id,
            request_id=f"{id}/{step}",
            sequence_start=step == 0,
            sequence_end=step == last,
            **settings,
        )
        for step, token in enumerate(tokens)
    ]


def numbers_of(response, place=0):
    """An output of floats."""
    shape = list(response.outputs[place].shape)
    return np.frombuffer(response.raw_output_contents[place], np.float32).reshape(shape)


def integers_of(response, place=0):
    """An output of whole numbers."""
    return np.frombuffer(response.raw_output_contents[place], np.int64).tolist()
