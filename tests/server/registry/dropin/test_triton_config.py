import asyncio

import numpy as np
import pytest

from stepwire_server.config import RuntimeConfig
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.opening import open_graph, said_of
from stepwire_server.registry.dropin.triton_config import parse, version_policy
from stepwire_server.registry.policy import VersionPolicy
from stepwire_server.registry.signature import Kind
from stepwire_zoo.errors import BundleError, FileMismatch, ManifestInvalid
from support import dropins
from support.asking import ask
from support.dropins import HIDDEN

STATES = """
  state { input_name: "a" output_name: "z" data_type: TYPE_FP32 dims: [ 24 ]
          initial_state { name: "ones" data_type: TYPE_FP32 dims: [ 24 ] data_file: "ones" } }
  state { input_name: "b" output_name: "y" data_type: TYPE_FP32 dims: [ 24 ]
          initial_state { name: "zeros" data_type: TYPE_FP32 dims: [ 24 ] zero_data: true } }
"""
CELL = f"""
name: "cell"
backend: "onnxruntime"
max_batch_size: 16
input {{ name: "x" data_type: TYPE_FP32 dims: [ 8 ] }}
output [ {{ name: "out" data_type: TYPE_FP32 dims: [ 5 ] label_filename: "labels.txt" }} ]
sequence_batching {{
  max_sequence_idle_microseconds: 5000000
  oldest {{ max_candidate_sequences: 4 preferred_batch_size: [ 8, 4 ]
            max_queue_delay_microseconds: 250 }}
  {STATES}
}}
instance_group [ {{ count: 2 kind: KIND_CPU }} ]
"""


@pytest.fixture
def folder(tmp_path):
    """A model as it lies in a repository of Triton's."""
    model = tmp_path / "cell"
    (model / "1").mkdir(parents=True)
    (model / "initial_state").mkdir()
    (model / "1/model.onnx").write_bytes(dropins.step_by_hand())
    (model / "initial_state/ones").write_bytes(np.ones(HIDDEN, "<f4").tobytes())
    (model / "labels.txt").write_text("\n".join("pqrst") + "\n")
    return model


def opened(folder, text):
    (folder / "config.pbtxt").write_text(text)
    files = Files.of(folder / "1/model.onnx")
    said = said_of(files)
    return open_graph(files, said, RuntimeConfig(), most=8), said


def test_states_starts_and_limits_are_taken(folder):
    proved, said = opened(folder, CELL)
    a, b = proved.wiring.states
    assert [(a.input.name, a.output.name), (b.input.name, b.output.name)] == [
        ("a", "z"),
        ("b", "y"),
    ]
    np.testing.assert_array_equal(a.start, np.ones(HIDDEN, np.float32))
    assert b.start is None
    assert said.settings.max_batch_size == 16
    assert said.settings.sequence_idle_s == 5
    assert said.settings.labels == {"out": tuple("pqrst")}
    assert said.config.batching.preferred_batch_sizes == (4, 8)
    assert said.config.batching.max_queue_delay_s == pytest.approx(250e-6)


def test_stepwire_json_has_the_last_word(folder):
    (folder / "stepwire.json").write_text('{"max_batch_size": 2, "labels": {"out": ["v"]}}')
    _, said = opened(folder, CELL)
    assert said.settings.max_batch_size == 2
    assert said.settings.labels == {"out": ("v",)}


def test_dynamic_batching_is_read_as_it_is_named(folder):
    (folder / "1/model.onnx").write_bytes(dropins.perceptron())
    _, said = opened(
        folder,
        """
        platform: "onnxruntime_onnx"
        max_batch_size: 8
        dynamic_batching {
          preferred_batch_size: [ 4, 8 ]
          max_queue_delay_microseconds: 100
          priority_levels: 2
          default_priority_level: 2
          default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1000000
                                 allow_timeout_override: true max_queue_size: 7 }
          priority_queue_policy { key: 1 value { max_queue_size: 3 } }
        }
        """,
    )
    batching = said.config.batching
    assert batching.preferred_batch_sizes == (4, 8)
    assert (batching.priority_levels, batching.default_priority_level) == (2, 2)
    assert batching.default_policy.delays
    assert batching.default_policy.default_timeout_s == 1
    assert batching.default_policy.allow_timeout_override
    assert batching.default_policy.max_queue_size == 7
    assert batching.policies[1].max_queue_size == 3


def test_a_batch_size_of_zero_keeps_requests_apart(folder):
    (folder / "1/model.onnx").write_bytes(dropins.perceptron())
    proved, _ = opened(
        folder,
        """
        max_batch_size: 0
        input { name: "x" data_type: TYPE_FP32 dims: [ -1, 8 ] }
        output { name: "y" data_type: TYPE_FP32 dims: [ -1, 5 ] }
        """,
    )
    assert not proved.wiring.merges


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", None),
        ("version_policy { all {} }", VersionPolicy()),
        ("version_policy { latest { num_versions: 3 } }", VersionPolicy(latest=3)),
        ("version_policy { latest {} }", VersionPolicy(latest=1)),
        ("version_policy { specific { versions: [ 1, 3 ] } }", VersionPolicy(specific=(1, 3))),
    ],
)
def test_version_policies(text, policy):
    assert version_policy(parse(text.encode())) == policy


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name: "cell"', 'name: "other"', "name must be cell, got 'other'"),
        ("onnxruntime", "tensorrt", "backend must be onnxruntime, got 'tensorrt'"),
        ("max_batch_size: 16", "max_batch_size: -1", r"max_batch_size must be in \[0, 4096\]"),
        ("max_batch_size: 16", "max_batchsize: 16", 'no field named "max_batchsize'),
        ('"x" data_type: TYPE_FP32', '"x" data_type: TYPE_INT64', "be float32, as in the file"),
        ("dims: [ 8 ]", "dims: [ 9 ]", r"input x: dims must fit \[-1, 8\]"),
        ('name: "x"', 'name: "w"', "input.name must be one of a, b, x, got 'w'"),
        ('name: "out"', 'name: "nope"', "output.name must be one of out, y, z, got 'nope'"),
        ("dims: [ 8 ]", "dims: [ 8 ] reshape { shape: [ 8 ] }", "reshape must be left out"),
        ("dims: [ 8 ]", "dims: [ 8 ] allow_ragged_batch: true", "allow_ragged_batch must be false"),
        ('output_name: "z"', 'output_name: "q"', "state.output_name must be one of"),
        ("[ 8, 4 ]", "[ 32 ]", r"preferred_batch_size must be in \[1, 16\]"),
        (
            "instance_group",
            "model_operations { op_library_filename: 'a.so' } instance_group",
            "model_op",
        ),
        (
            "instance_group",
            "model_transaction_policy { decoupled: true } instance_group",
            "decoupled",
        ),
        ("oldest {", "iterative_sequence: true oldest {", "iterative_sequence must be false"),
        (
            "oldest {",
            'control_input { name: "end" control { kind: CONTROL_SEQUENCE_END '
            "fp32_false_true: [ 0, 1 ] } } oldest {",
            "CONTROL_SEQUENCE_START or CONTROL_SEQUENCE_READY, got CONTROL_SEQUENCE_END",
        ),
        ('data_file: "ones"', 'data_file: "../ones"', "must have a plain name"),
        ('data_file: "ones"', 'data_file: "twos"', "twos cannot be read"),
    ],
)
def test_what_is_not_so_or_not_supported_is_refused_by_name(folder, old, new, why):
    assert old in CELL
    with pytest.raises(BundleError, match=why) as caught:
        opened(folder, CELL.replace(old, new, 1))
    assert isinstance(caught.value, ManifestInvalid | FileMismatch)


def test_a_start_of_another_size_is_refused(folder):
    (folder / "initial_state/ones").write_bytes(b"123")
    with pytest.raises(ManifestInvalid, match=r"hold float32 \[24\], 96 bytes, got 3"):
        opened(folder, CELL)


def test_priorities_must_make_sense(folder):
    (folder / "1/model.onnx").write_bytes(dropins.perceptron())
    for text, why in (
        ("priority_levels: 2", "default_priority_level must be in"),
        ("default_priority_level: 1", "be left out where there are no"),
        (
            "priority_levels: 1 default_priority_level: 1 priority_queue_policy "
            "{ key: 2 value {} }",
            "be of priorities in",
        ),
    ):
        with pytest.raises(ManifestInvalid, match=why):
            opened(folder, f"max_batch_size: 4 dynamic_batching {{ {text} }}")


CONTROLLED = """
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }
sequence_batching {
  state { input_name: "total" output_name: "total_out" data_type: TYPE_FP32 dims: [ 1 ]
          initial_state { name: "junk" data_type: TYPE_FP32 dims: [ 1 ] data_file: "junk" } }
  control_input { name: "start" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }
  control_input { name: "ready" control { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0, 1 ] } }
}
"""


async def test_the_start_of_a_sequence_is_said_to_the_graph(served, folder):
    (folder / "1/model.onnx").write_bytes(dropins.resets_itself())
    (folder / "initial_state/junk").write_bytes(np.array([1000], "<f4").tobytes())
    (folder / "config.pbtxt").write_text(CONTROLLED)
    models = await served(folder.parent)
    _, model = models.lease_tensors("cell")
    assert model.signature.kind is Kind.SEQUENCE
    assert [spec.name for spec in model.signature.inputs] == ["x"]
    assert "sequence_batching" in model.signature.config
    states, totals = [None, None], []
    for _ in range(3):
        # The two step together: one counts by ones, the other by tens.
        answers = await asyncio.gather(
            *(
                ask(model, {"x": np.array([[by]], np.float32)}, states=each)
                for by, each in zip((1, 10), states, strict=True)
            )
        )
        states = [answer.states for answer in answers]
        totals.append([float(answer.tensors["y"][0, 0]) for answer in answers])
    assert totals == [[1, 10], [2, 20], [3, 30]]
