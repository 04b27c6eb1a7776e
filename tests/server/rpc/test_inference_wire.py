import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.errors import InvalidRequest
from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.registry.signature import Kind, Signature, TensorSpec
from stepwire_server.rpc.inference_messages import RequestReader
from stepwire_server.rpc.inference_wire import RequestCutter
from support.inference import token_step

messages = st.builds(
    pb.ModelInferRequest,
    model_name=st.text(max_size=200),
    model_version=st.text(max_size=3),
    id=st.text(max_size=200),
    raw_input_contents=st.lists(st.binary(max_size=300), max_size=3),
    inputs=st.lists(
        st.builds(
            pb.ModelInferRequest.InferInputTensor,
            name=st.text(max_size=9),
            shape=st.lists(st.integers(-1, 2**40), max_size=3),
        ),
        max_size=3,
    ),
)


@given(messages)
def test_a_request_is_what_protobuf_reads(message):
    read = RequestCutter().read(message.SerializeToString())
    assert (read.head.model, read.head.version) == (message.model_name, message.model_version)
    assert (read.id, list(read.raw)) == (message.id, list(message.raw_input_contents))
    assert read.head._message.inputs == message.inputs


@given(messages, st.data())
def test_what_is_cut_short_is_no_request(message, data):
    whole = message.SerializeToString()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        expected = pb.ModelInferRequest.FromString(cut)
    except DecodeError:
        with pytest.raises((DecodeError, UnicodeDecodeError)):
            RequestCutter().read(cut)
    else:
        assert RequestCutter().read(cut).id == expected.id


@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_protobuf_reads_them(data):
    try:
        expected = pb.ModelInferRequest.FromString(data)
    except DecodeError:
        with pytest.raises((DecodeError, UnicodeDecodeError)):
            RequestCutter().read(data)
    else:
        read = RequestCutter().read(data)
        assert (read.id, list(read.raw)) == (expected.id, list(expected.raw_input_contents))


def test_fields_that_nobody_knows_yet_are_passed_over():
    message = token_step(1, 2, request_id="7").SerializeToString()
    newer = b"\x98\x06\x01" + message + b"\x4d\x00\x00\x00\x00"  # a number, and four bytes
    read = RequestCutter().read(newer)
    assert (read.id, read.head.model, len(read.raw)) == ("7", "tiny", 1)


def test_the_last_id_counts():
    twice = token_step(1, 2, request_id="7"), pb.ModelInferRequest(id="8")
    assert RequestCutter().read(b"".join(m.SerializeToString() for m in twice)).id == "8"


SIGNATURE = Signature(
    name="tiny",
    version="1",
    kind=Kind.SEQUENCE,
    inputs=(TensorSpec(name="token", dtype="int64", shape=(-1, -1)),),
    outputs=(TensorSpec(name="logits", dtype="float32", shape=(-1, -1, 2)),),
    max_rows=4,
)


def test_requests_that_differ_in_id_and_elements_are_read_once():
    cutter, reader = RequestCutter(), RequestReader(SIGNATURE)
    requests = [
        cutter.read(token_step(token, 5, request_id=str(token)).SerializeToString())
        for token in (3, 4)
    ]
    assert requests[0].head is requests[1].head
    plans = [request.head.plan(reader) for request in requests]
    assert plans[0] is plans[1]
    found = [
        plan.read(r.raw, None).tensors["token"] for plan, r in zip(plans, requests, strict=True)
    ]
    assert [tensor.tolist() for tensor in found] == [[[3]], [[4]]]


@pytest.mark.parametrize("other", [{"id": 6}, {"id": "5"}, {"id": 5, "sequence_start": True}])
def test_requests_of_other_sequences_and_flags_are_others(other):
    cutter = RequestCutter()
    read = [
        cutter.read(token_step(1, **flags).SerializeToString()).head.said
        for flags in ({"id": 5}, other)
    ]
    assert read[0] != read[1]


def test_a_head_is_read_anew_for_another_model():
    head = RequestCutter().read(token_step(1, 2).SerializeToString()).head
    first, second = RequestReader(SIGNATURE), RequestReader(SIGNATURE)
    assert head.plan(first) is head.plan(first)
    assert head.plan(first) is not head.plan(second)


def test_what_is_refused_is_refused_every_time():
    head = RequestCutter().read(token_step(1, 2, sequence_start=1).SerializeToString()).head
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            _ = head.said


def test_heads_do_not_pile_up_and_large_ones_are_not_kept():
    cutter = RequestCutter()
    for id in range(1, 10_000):
        cutter.read(token_step(1, id).SerializeToString())
    assert len(cutter._heads) <= 8192
    message = pb.ModelInferRequest(model_name="tiny")
    given = message.inputs.add(name="token", datatype="INT64", shape=[1, 10_000])
    given.contents.int64_contents.extend(np.arange(10_000))
    large = message.SerializeToString()
    assert cutter.read(large).head is not cutter.read(large).head
