"""Models whose rows disturb each other are found out where they are loaded."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.engine.graph import Graph, StepGraph
from stepwire_server.registry.alone import steps_stand_alone
from stepwire_server.registry.opening import Opener
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.errors import BatchDependent
from stepwire_zoo.golden import GoldenCase
from support.tiny import (
    HIDDEN,
    VOCABULARY,
    TinyCell,
    generation_manifest,
    onnx_file,
    write_classification,
    write_generation,
)
from support.tiny_tagger import TinyTagger, write_tagger


class Dynamic(TinyCell):
    """The same cell with a scale that the whole batch decides, as dynamic quantisation has it."""

    def graph(self):
        largest = np.abs(self.recur).max() / 127
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["h"], ["q", "scale", "zero"]),
            helper.make_node("MatMulInteger", ["q", "recur", "zero"], ["total"]),
            helper.make_node("Cast", ["total"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["scale", "step"], ["scales"]),
            helper.make_node("Mul", ["wide", "scales"], ["r"]),
            helper.make_node("Gather", ["embed", "token"], ["x"]),
            helper.make_node("Add", ["x", "r"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["h_next"]),
            helper.make_node("Mul", ["c", "decay"], ["kept"]),
            helper.make_node("Add", ["kept", "h_next"], ["c_next"]),
            helper.make_node("MatMul", ["c_next", "output"], ["logits"]),
        ]
        weights = {
            "embed": self.embed,
            "recur": np.rint(self.recur / largest).astype(np.int8),
            "step": np.array(largest, np.float32),
            "output": self.output,
            "decay": np.array(0.9, np.float32),
        }
        state = (TensorProto.FLOAT, ["N", HIDDEN])
        return onnx_file(
            nodes,
            weights,
            {"token": (TensorProto.INT64, ["N"]), "h": state, "c": state},
            {
                "logits": (TensorProto.FLOAT, ["N", VOCABULARY]),
                "h_next": state,
                "c_next": state,
            },
        )


class Nosy(TinyCell):
    """The same cell with logits in whose last bits the largest number of the batch shows."""

    def graph(self):
        model = onnx.load_from_string(super().graph())
        last = model.graph.node[-1]
        last.output[0] = "plain"
        model.graph.node.extend(
            [
                helper.make_node("ReduceMax", ["h_next"], ["largest"], keepdims=0),
                helper.make_node("Mul", ["largest", "little"], ["trace"]),
                helper.make_node("Add", ["plain", "trace"], ["logits"]),
            ]
        )
        little = numpy_helper.from_array(np.array(1e-5, np.float32), "little")
        model.graph.initializer.append(little)
        return model.SerializeToString()


def opener(**settings):
    return Opener(
        batching=BatchingConfig(max_rows=8, max_batch=4), runtime=RuntimeConfig(**settings)
    )


def stands_alone(cell):
    spec = generation_manifest().graphs["step"]
    graph = StepGraph(Graph(cell.graph(), spec, RuntimeConfig()), spec)
    tokens = np.random.default_rng(1).integers(0, VOCABULARY, size=(3, 6))
    return steps_stand_alone(graph, GoldenCase({"token": tokens}, {}), most_rows=16)


def test_a_cell_that_multiplies_by_itself_stands_alone():
    assert stands_alone(TinyCell())


def test_a_scale_that_the_batch_decides_is_noticed():
    assert not stands_alone(Dynamic())


def test_every_kind_of_bundle_is_asked(tmp_path):
    assert opener().open(open_bundle(write_generation(tmp_path))).stands_alone
    assert opener().open(open_bundle(write_classification(tmp_path))).stands_alone


class Curious(TinyTagger):
    """A tagger in whose verdict on a text a little shows of the sum of all of the batch."""

    def graph(self, judges=False):
        model = onnx.load_from_string(super().graph(judges))
        last = model.graph.node[-1]
        last.output[0] = "plain"
        model.graph.node.extend(
            [
                helper.make_node("ReduceSum", ["plain"], ["total"], keepdims=0),
                helper.make_node("Mul", ["total", "little"], ["trace"]),
                helper.make_node("Add", ["plain", "trace"], ["text_logits"]),
            ]
        )
        little = numpy_helper.from_array(np.array(1e-5, np.float32), "little")
        model.graph.initializer.append(little)
        return model.SerializeToString()


def test_what_a_tagger_says_of_a_text_must_not_depend_on_others_either(tmp_path):
    assert opener().open(open_bundle(write_tagger(tmp_path, judges=True))).stands_alone
    folder = write_tagger(tmp_path, "curious", judges=True, tagger=Curious())
    assert not opener().open(open_bundle(folder)).stands_alone


def test_strictly_such_a_model_is_refused_and_else_it_says_so(tmp_path):
    # It computes what was published, as closely as is asked: only its rows see each other.
    folder = write_generation(tmp_path, cell=Nosy())

    assert not opener().open(open_bundle(folder)).stands_alone
    with pytest.raises(BatchDependent, match="depends here on what shares its batch"):
        opener(strict_batches=True).open(open_bundle(folder))
