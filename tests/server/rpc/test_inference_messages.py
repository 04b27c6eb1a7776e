import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stepwire_server.engine.tensors import Asked
from stepwire_server.errors import InvalidRequest, Unsupported
from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.registry.signature import TEXT, DynamicBatching, Kind, Signature, TensorSpec
from stepwire_server.rpc.inference_messages import (
    AnswerWriter,
    RequestReader,
    error_in_stream,
    in_stream,
    varint,
)
from stepwire_server.rpc.inference_parameters import read_parameters
from stepwire_server.rpc.inference_tensors import (
    DATATYPES,
    best_of,
    read_raw,
    read_typed,
    write_raw,
)

NUMBERS = [dtype for dtype in DATATYPES if dtype != TEXT]
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
TYPED = {
    **dict.fromkeys(("int8", "int16", "int32"), "int_contents"),
    **dict.fromkeys(("uint8", "uint16", "uint32"), "uint_contents"),
    "bool": "bool_contents",
    "int64": "int64_contents",
    "uint64": "uint64_contents",
    "float32": "fp32_contents",
    "float64": "fp64_contents",
}


def arrays(dtypes):
    return st.sampled_from(sorted(dtypes)).flatmap(
        lambda dtype: npst.arrays(np.dtype(dtype), SHAPES)
    )


texts = npst.arrays(object, SHAPES, elements=st.binary(max_size=20))


def same(read, tensor):
    assert read.shape == tensor.shape
    assert read.dtype == tensor.dtype
    assert read.tobytes() == tensor.tobytes()


@given(arrays(NUMBERS))
def test_numbers_come_back_as_they_lie_in_memory(tensor):
    same(read_raw("x", tensor.dtype.name, tensor.shape, write_raw(tensor)), tensor)


@given(arrays(TYPED))
def test_numbers_come_back_element_by_element(tensor):
    contents = pb.InferTensorContents()
    getattr(contents, TYPED[tensor.dtype.name]).extend(tensor.ravel().tolist())
    same(read_typed("x", tensor.dtype.name, tensor.shape, contents), tensor)


@given(texts)
def test_texts_come_back_both_ways(tensor):
    contents = pb.InferTensorContents(bytes_contents=tensor.ravel().tolist())
    for read in (
        read_raw("x", TEXT, tensor.shape, write_raw(tensor)),
        read_typed("x", TEXT, tensor.shape, contents),
    ):
        assert read.shape == tensor.shape
        assert read.ravel().tolist() == tensor.ravel().tolist()


@given(npst.arrays(np.float32, st.just((2, 3, 4))), st.permutations(range(3)))
def test_a_tensor_that_lies_in_memory_another_way_is_written_row_by_row(tensor, axes):
    turned = tensor.transpose(axes)
    assert write_raw(turned) == np.ascontiguousarray(turned).tobytes()


def test_bytes_that_are_not_0_or_1_are_true():
    assert read_raw("x", "bool", (3,), b"\x00\x01\x07").tolist() == [False, True, True]


@pytest.mark.parametrize("lie", [b"", b"123", b"x" * 9])
def test_numbers_have_as_many_bytes_as_their_shape_says(lie):
    with pytest.raises(InvalidRequest, match=r"raw content of x must have 8 bytes"):
        read_raw("x", "float32", (1, 2), lie)


def length(count):
    return struct.pack("<I", count)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (b"", "hold 2 texts, got 0"),
        (length(1) + b"a", "hold 2 texts, got 1"),
        (length(1) + b"a" + length(1) + b"b" + length(0), "hold 2 texts, got more"),
        (length(1) + b"a" + length(2) + b"b", "got 1 of 2 for text 1"),
        (length(2**32 - 1) + b"a", "got 1 of 4294967295 for text 0"),
        (length(1) + b"a" + b"\x01\x00", "have a length of 4 bytes before each text"),
    ],
)
def test_texts_have_the_lengths_that_they_say(lie, told):
    with pytest.raises(InvalidRequest, match=told):
        read_raw("x", TEXT, (2, 1), lie)


@given(st.binary(max_size=60), st.integers(0, 5))
def test_no_bytes_make_reading_texts_fail_in_another_way(data, count):
    try:
        read = read_raw("x", TEXT, (count,), data)
    except InvalidRequest:
        return
    assert write_raw(read) == data


@pytest.mark.parametrize(
    ("dtype", "contents", "told"),
    [
        ("int8", {"int_contents": [1, 128]}, r"elements in \[-128, 127\], got 128"),
        ("uint8", {"uint_contents": [1, 256]}, r"elements in \[0, 255\], got 256"),
        ("int8", {"int_contents": [1]}, "have 2 elements"),
        ("int8", {"int64_contents": [1, 2]}, "come in int_contents, got int64_contents"),
        ("float16", {"fp32_contents": [1, 2]}, "come in raw_input_contents, since FP16"),
    ],
)
def test_elements_that_do_not_fit_are_refused(dtype, contents, told):
    with pytest.raises(InvalidRequest, match=told):
        read_typed("x", dtype, (2,), pb.InferTensorContents(**contents))


def spec(name, dtype, *shape, **settings):
    return TensorSpec(name=name, dtype=dtype, shape=shape, **settings)


SIGNATURE = Signature(
    name="m",
    version="3",
    kind=Kind.PLAIN,
    inputs=(
        spec("a", "float32", -1, 2),
        spec("b", "int64", 3, -1, batch_axis=1, optional=True),
        spec("scale", "float32", 1, batch_axis=None, optional=True),
    ),
    outputs=(
        spec("y", "float32", -1, 3, labels=("no", "yes", "so")),
        spec("words", TEXT, -1, 1),
    ),
    max_rows=4,
)
READER = RequestReader(SIGNATURE)


def request(outputs=(), **tensors):
    message = pb.ModelInferRequest(model_name="m", id="7")
    for name, tensor in tensors.items():
        message.inputs.add(name=name, datatype=DATATYPES[tensor.dtype.name], shape=tensor.shape)
        message.raw_input_contents.append(tensor.tobytes())
    for name in outputs:
        message.outputs.add(name=name)
    return message


def read(message, reader=READER, deadline=None):
    said = read_parameters(message.parameters)
    return reader.read(message, said, deadline), reader.plan(message, said).wanted


A = np.array([[1, 2], [3, 4]], np.float32)
B = np.array([[1, 2], [3, 4], [5, 6]], np.int64)


def test_a_request_is_its_tensors_rows_and_outputs():
    message = request(a=A, b=B, outputs=["words", "y"])
    message.parameters["share"].double_param = 0.5
    message.parameters["priority"].uint64_param = 2
    asked, wanted = read(message)
    assert isinstance(asked, Asked)
    assert (asked.tensors["a"] == A).all()
    assert (asked.tensors["b"] == B).all()
    assert (asked.rows, asked.priority, asked.parameters) == (2, 2, {"share": 0.5})
    assert (asked.wanted, wanted.best) == (("words", "y"), (0, 0))


def test_all_outputs_are_wanted_where_none_is_named():
    assert read(request(a=A))[0].wanted == ("y", "words")


def changed(change, **tensors):
    message = request(**(tensors or {"a": A}))
    change(message)
    return message


BAD = {
    "inputs must hold a, got none": request(),
    "inputs must hold a, got b": request(b=B),
    "inputs must be among a, b, scale, got c": request(a=A, c=A),
    "inputs must name each input once, got a twice": changed(lambda m: m.MergeFrom(request(a=A))),
    r"datatype of a must be FP32, got FP64": request(a=A.astype(np.float64)),
    r"shape of a must be \[-1, 2\], where -1 varies, got \[4\]": request(a=A.ravel()),
    r"shape of a must be \[-1, 2\], where -1 varies, got \[4, 1\]": request(a=A.reshape(4, 1)),
    r"a must have between 1 and 4 rows on axis 0, got \[0, 2\]": request(a=A[:0]),
    r"a must have between 1 and 4 rows on axis 0, got \[6, 2\]": request(a=np.tile(A, (3, 1))),
    r"b must have the 1 rows of a on axis 1, got \[3, 2\]": request(a=A[:1], b=B),
    r"shape of a must be .* got \[-1, 2\]": changed(lambda m: m.inputs[0].shape.__setitem__(0, -1)),
    "raw_input_contents must have one entry for each of the 1 inputs": changed(
        lambda m: m.raw_input_contents.append(b"")
    ),
    "contents of a must be empty where raw_input_contents are given": changed(
        lambda m: m.inputs[0].contents.fp32_contents.append(1)
    ),
    "requested outputs must be among y, words, each once, got z": request(a=A, outputs=["z"]),
    "requested outputs must be among y, words, each once, got y": request(a=A, outputs=["y", "y"]),
}


@pytest.mark.parametrize("told", BAD)
def test_a_request_that_does_not_fit_is_told_why(told):
    with pytest.raises(InvalidRequest, match=told):
        read(BAD[told])


def test_shared_memory_is_refused_on_both_sides():
    for side in ("inputs", "outputs"):
        message = request(a=A, outputs=["y"])
        getattr(message, side)[0].parameters["shared_memory_region"].string_param = "r"
        with pytest.raises(Unsupported, match="shares none"):
            read(message)


def test_a_timeout_is_a_deadline_where_the_queue_has_no_policy():
    message = request(a=A)
    message.parameters["timeout"].int64_param = 2_000_000
    asked, _ = read(message, deadline=0.0)
    assert (asked.deadline, asked.timeout_s) == (0.0, 2.0)
    assert read(message)[0].deadline > 0
    policy = RequestReader(Signature(**{**vars(SIGNATURE), "batching": DynamicBatching()}))
    asked, _ = read(message, policy)
    assert (asked.deadline, asked.timeout_s) == (None, 2.0)


def parameters(**values):
    message = pb.ModelInferRequest()
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
    for name, value in values.items():
        setattr(message.parameters[name], kinds[type(value)], value)
    return read_parameters(message.parameters)


@pytest.mark.parametrize(("id", "read"), [(0, None), ("", None), (1, 1), ("1", "1"), (-1, -1)])
def test_a_sequence_has_a_number_or_a_text(id, read):
    found = parameters(sequence_id=id).sequence
    assert found == read
    assert type(found) is type(read)


def test_parameters_say_where_a_sequence_begins_and_ends():
    said = parameters(
        sequence_id=7, sequence_start=True, sequence_end=True, priority=3, timeout=1500
    )
    assert (said.start, said.end, said.priority, said.timeout_s) == (True, True, 3, 0.0015)
    assert not said.others


def test_what_only_clients_know_is_not_for_models():
    said = parameters(headers="x", binary_data_output=True, triton_new_thing=1, temperature=0.5)
    assert said.others == {"temperature": 0.5}
    assert parameters(triton_enable_empty_final_response=True).empty_final


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence_id", True),
        ("sequence_id", 1.5),
        ("sequence_start", 1),
        ("sequence_end", "yes"),
        ("priority", -1),
        ("timeout", 1.5),
        ("timeout", True),
        ("triton_enable_empty_final_response", 1),
    ],
)
def test_a_parameter_of_another_kind_is_refused(name, value):
    with pytest.raises(InvalidRequest, match=f"{name} must be"):
        parameters(**{name: value})


def test_a_parameter_without_a_value_is_refused():
    message = pb.ModelInferRequest()
    message.parameters["anything"].SetInParent()
    with pytest.raises(InvalidRequest, match="parameter anything must have a value"):
        read_parameters(message.parameters)


@given(
    npst.arrays(np.float32, st.tuples(st.integers(1, 3), st.just(3))),
    st.text(max_size=200),
    st.booleans(),
)
def test_an_answer_put_together_from_bytes_is_the_message(y, request_id, more):
    writer = AnswerWriter(SIGNATURE)
    words = np.array([[b"w" * row] for row in range(len(y))], object)
    _, wanted = read(request(a=A, outputs=["words", "y"]))
    for _ in range(2):  # the second time from what was written before
        written = writer.write({"y": y, "words": words}, wanted, request_id, more=more)
        expected = pb.ModelInferResponse(model_name="m", model_version="3", id=request_id)
        expected.outputs.add(name="words", datatype="BYTES", shape=words.shape)
        expected.outputs.add(name="y", datatype="FP32", shape=y.shape)
        expected.raw_output_contents.extend([write_raw(words), y.tobytes()])
        if more:
            expected.parameters["triton_final_response"].bool_param = False
        assert pb.ModelInferResponse.FromString(written) == expected
    told = pb.ModelStreamInferResponse.FromString(in_stream(written))
    assert told == pb.ModelStreamInferResponse(infer_response=expected)


def test_the_end_of_answers_is_one_without_outputs():
    told = pb.ModelInferResponse.FromString(AnswerWriter(SIGNATURE).write_end("7"))
    assert (told.id, told.model_name, len(told.outputs)) == ("7", "m", 0)
    assert told.parameters["triton_final_response"].bool_param


def test_an_error_in_a_stream_has_the_id_of_its_request():
    told = pb.ModelStreamInferResponse.FromString(error_in_stream("7", "no"))
    assert (told.error_message, told.infer_response.id) == ("no", "7")


def test_heads_of_answers_do_not_pile_up():
    writer = AnswerWriter(SIGNATURE)
    _, wanted = read(request(a=A, outputs=["y"]))
    for rows in range(1, 1000):
        writer.write({"y": np.zeros((rows, 3), np.float32)}, wanted, "")
    assert len(writer._heads) <= 256


def test_the_best_places_are_told_as_texts():
    message = request(a=A, outputs=["y"])
    message.outputs[0].parameters["classification"].int64_param = 2
    _, wanted = read(message)
    y = np.array([[0.25, 0.5, 0.125], [1, 0, 1]], np.float32)
    told = pb.ModelInferResponse.FromString(AnswerWriter(SIGNATURE).write({"y": y}, wanted, ""))
    assert (told.outputs[0].datatype, list(told.outputs[0].shape)) == ("BYTES", [2, 2])
    [raw] = told.raw_output_contents
    assert read_raw("y", TEXT, (4,), raw).tolist() == [
        *(b"0.5:1:yes", b"0.25:0:no"),
        *(b"1.0:0:no", b"1.0:2:so"),
    ]


@pytest.mark.parametrize(("name", "count"), [("y", 0), ("y", -1), ("words", 1)])
def test_the_best_of_nothing_is_refused(name, count):
    message = request(a=A, outputs=[name])
    message.outputs[0].parameters["classification"].int64_param = count
    with pytest.raises(InvalidRequest, match=f"classification of {name}"):
        read(message)


@given(npst.arrays(np.float32, (2, 5), elements=st.floats(-9, 9, width=32)), st.integers(1, 9))
def test_the_best_are_those_that_sorting_finds(scores, count):
    told = best_of(scores, (), count)
    for row, texts in zip(scores, told, strict=True):
        expected = sorted(range(5), key=lambda place: (-row[place], place))[:count]
        assert [int(text.split(b":")[1]) for text in texts] == expected
        assert [np.float32(text.split(b":")[0]) for text in texts] == [row[p] for p in expected]


@given(st.integers(0, 2**63 - 1))
def test_a_number_is_written_as_protobuf_does(number):
    message = pb.StatisticDuration(count=number).SerializeToString()
    assert varint(number) == (message[1:] or b"\x00")
