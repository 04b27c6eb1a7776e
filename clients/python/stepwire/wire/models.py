"""Requests about models; `describing` reads what they are answered with."""

from stepwire.v1 import models_pb2
from stepwire.wire.building import build


def get_model_request(model: str, version: str) -> models_pb2.GetModelRequest:
    """Asks for one model."""
    return build(models_pb2.GetModelRequest, model=model, version=version)


def load_model_request(model: str) -> models_pb2.LoadModelRequest:
    """Has a model loaded."""
    return build(models_pb2.LoadModelRequest, model=model)


def unload_model_request(model: str) -> models_pb2.UnloadModelRequest:
    """Has a model unloaded."""
    return build(models_pb2.UnloadModelRequest, model=model)
