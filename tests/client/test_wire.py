from dataclasses import asdict, fields

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

import stepwire
from stepwire import DecodingOptions, LengthNormalization, describing, methods, wire
from stepwire.v1 import (
    embeddings_pb2,
    forecasting_pb2,
    generation_pb2,
    labeling_pb2,
    models_pb2,
    sessions_pb2,
    streaming_pb2,
)
from stepwire.wire.generation import FINISH_REASONS
from stepwire.wire.vectors import VECTOR_ORIGINS

TEXT = st.text(max_size=8)
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
FLOAT = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLE = st.floats(allow_nan=False, allow_infinity=False)


def lists(strategy):
    return st.lists(strategy, max_size=3)


def plain(message):
    """The slow, obvious reading: every field by its own name, absent messages as None."""
    return MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        use_integers_for_enums=True,
    )


def same(value, read):
    """Whether a value of ours says what the plain reading says, name by name."""
    if isinstance(value, dict):
        return all(same(value[name], read.get(name)) for name in value)
    if isinstance(value, (list, tuple)):
        return len(value) == len(read) and all(map(same, value, read))
    return str(value) == str(read) or value == pytest.approx(read)


POSITIONS = st.builds(
    generation_pb2.TokenLogprobs,
    logprob=FLOAT,
    top=lists(st.builds(generation_pb2.TokenLogprob, token_id=UINT32, text=TEXT, logprob=FLOAT)),
)
SUMMARIES = st.builds(
    generation_pb2.GenerationSummary,
    prompt_tokens=UINT32,
    generated_tokens=UINT32,
    seed=UINT64,
    queue_seconds=DOUBLE,
    first_token_seconds=DOUBLE,
    total_seconds=DOUBLE,
)
PIECES = st.builds(
    generation_pb2.GeneratedPiece,
    prompt_index=UINT32,
    sample_index=UINT32,
    text=TEXT,
    token_ids=lists(UINT32),
    logprobs=lists(POSITIONS),
    summary=st.none() | SUMMARIES,
)


@settings(deadline=None)
@given(lists(PIECES))
def test_pieces_lose_nothing_on_the_way(sent):
    got = wire.pieces(generation_pb2.GenerateResponse(pieces=sent))
    for piece, message in zip(got, sent, strict=True):
        read = plain(message)
        for name in ("prompt_index", "sample_index", "text", "token_ids", "logprobs"):
            assert same(asdict(piece)[name], read[name])
        assert (piece.summary is None) == (not message.HasField("summary"))
        if piece.summary is not None:
            told = asdict(piece.summary)
            assert told.pop("finish_reason") == "unknown"
            assert same(told, read["summary"])


@settings(deadline=None)
@given(
    lists(
        st.builds(
            labeling_pb2.Classification,
            labels=lists(st.builds(labeling_pb2.ScoredLabel, label=TEXT, score=FLOAT)),
            token_count=UINT32,
            truncated=st.booleans(),
        )
    )
)
def test_verdicts_lose_nothing_on_the_way(sent):
    got = wire.classifications(labeling_pb2.ClassifyResponse(results=sent))
    assert all(same(asdict(ours), plain(it)) for ours, it in zip(got, sent, strict=True))


TENSORS = st.builds(
    models_pb2.Tensor, name=TEXT, dtype=TEXT, role=TEXT, shape=lists(st.integers(-1, 2**62))
)
MODELS = st.builds(
    models_pb2.Model,
    summary=st.builds(models_pb2.ModelSummary, name=TEXT, version=TEXT, reason=TEXT, summary=TEXT),
    languages=lists(TEXT),
    licence=TEXT,
    limits=st.builds(models_pb2.ModelLimits, max_input_tokens=UINT32, max_new_tokens=UINT32),
    labels=lists(TEXT),
    graphs=lists(
        st.builds(
            models_pb2.Graph,
            role=TEXT,
            inputs=lists(TENSORS),
            outputs=lists(TENSORS),
            states=lists(st.builds(models_pb2.State, input=TEXT, output=TEXT, start=TEXT)),
        )
    ),
    metrics=lists(st.builds(models_pb2.Metric, name=TEXT, value=DOUBLE, published=TEXT)),
    decoding_defaults=st.dictionaries(TEXT, DOUBLE, max_size=3),
    provenance=st.builds(
        models_pb2.Provenance,
        recipe=TEXT,
        seed=UINT64,
        data=lists(st.builds(models_pb2.Dataset, name=TEXT, licence=TEXT, home=TEXT)),
    ),
    provider=TEXT,
    size_bytes=UINT64,
    load_seconds=DOUBLE,
    digest=TEXT,
    series=st.none()
    | st.builds(models_pb2.SeriesColumns, columns=lists(TEXT), targets=lists(TEXT), horizon=UINT32),
)

OF_THE_REQUEST = {"resume_every", "accept_inexact"}  # options in our hands, fields of the request


@settings(deadline=None)
@given(MODELS)
def test_descriptions_lose_nothing_on_the_way(sent):
    told = asdict(describing.model(models_pb2.GetModelResponse(model=sent)))
    assert told["summary"].pop("task") == told["summary"].pop("state") == "unknown"
    assert same(told, plain(sent))


@settings(deadline=None)
@given(
    st.builds(
        DecodingOptions,
        max_tokens=st.none() | UINT32,
        temperature=st.none() | FLOAT,
        top_k=st.none() | UINT32,
        logit_bias=st.dictionaries(UINT32, FLOAT, max_size=3),
        stop=lists(TEXT),
        stop_token_ids=lists(UINT32),
        seed=st.none() | UINT64,
        beam_width=st.none() | UINT32,
        length_penalty=st.none() | FLOAT,
        suppress_tokens=lists(UINT32),
        resume_every=st.none() | UINT32,
    )
)
def test_options_lose_nothing_on_the_way_and_none_stays_unset(options):
    request = wire.generate_request("m", "", ["a"], 1, options)
    assert (request.resume_every, request.accept_inexact) == (options.resume_every or 0, False)
    sent = request.options
    for name in set(vars(options)) - OF_THE_REQUEST:
        value = getattr(options, name)
        if name == "length_normalization":
            assert sent.length_normalization == 0
        elif value is None:
            assert not sent.HasField(name)
        elif isinstance(value, (list, tuple)):
            assert list(getattr(sent, name)) == list(value)
        else:
            assert getattr(sent, name) == value


@pytest.mark.parametrize("kind", LengthNormalization)
def test_a_length_normalization_is_the_contracts(kind):
    options = DecodingOptions(length_normalization=kind)
    sent = wire.generate_request("m", "", ["a"], 1, options).options
    name = generation_pb2.LengthNormalization.Name(sent.length_normalization)
    assert name == f"LENGTH_NORMALIZATION_{kind.name}"


def test_options_are_those_of_the_contract():
    ours = [field.name for field in fields(DecodingOptions)]
    contract = list(generation_pb2.DecodingOptions.DESCRIPTOR.fields_by_name)
    assert [name for name in ours if name not in OF_THE_REQUEST] == contract
    for request in (generation_pb2.GenerateRequest, generation_pb2.TranslateRequest):
        assert set(request.DESCRIPTOR.fields_by_name) >= OF_THE_REQUEST


@pytest.mark.parametrize(
    ("known", "contract"),
    [
        (FINISH_REASONS, generation_pb2.FinishReason),
        (describing.TASKS, models_pb2.Task),
        (VECTOR_ORIGINS, embeddings_pb2.VectorOrigin),
        (describing.MODEL_STATES, models_pb2.ModelState),
    ],
)
def test_every_member_of_an_enumeration_has_a_name(known, contract):
    assert set(known) == set(contract.values()) - {0}
    for number, ours in known.items():
        assert contract.Name(number).endswith(ours.name)


@pytest.mark.parametrize(
    ("file", "service"),
    [
        (embeddings_pb2, "EmbeddingService"),
        (forecasting_pb2, "ForecastingService"),
        (generation_pb2, "GenerationService"),
        (labeling_pb2, "LabelingService"),
        (models_pb2, "ModelService"),
        (sessions_pb2, "SessionService"),
        (streaming_pb2, "StreamingService"),
    ],
)
def test_every_call_of_the_contract_has_its_method(file, service):
    known = {it.path: it for it in vars(methods).values() if isinstance(it, methods.Method)}
    for call in file.DESCRIPTOR.services_by_name[service].methods:
        method = known[f"/stepwire.v1.{service}/{call.name}"]
        assert method.request.DESCRIPTOR is call.input_type
        assert method.response.DESCRIPTOR is call.output_type


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": -1}, r"max_tokens must be a whole number in \[0, 4294967295\], got -1"),
        ({"seed": 2**64}, r"seed must be a whole number in \[0, 18446744073709551615\], got 184"),
        ({"top_k": 1.5}, r"top_k must be a whole number .* got 1.5"),
        ({"temperature": "hot"}, r"temperature must be a number, got 'hot'"),
        ({"stop": ["a", "b", 7]}, r"stop\[2\] must be text that UTF-8 can carry, got 7"),
        ({"stop_token_ids": [1, -7]}, r"stop_token_ids\[1\] must be a whole number .* got -7"),
        ({"logit_bias": {-1: 0.5}}, r"logit_bias must be a mapping from token .* got {-1: 0.5}"),
    ],
)
def test_an_option_the_wire_cannot_carry_is_refused_by_name(options, message):
    with pytest.raises(stepwire.InvalidRequest, match=message) as raised:
        wire.generate_request("m", "", ["a"], 1, DecodingOptions(**options))
    assert raised.value.reason == "INVALID_REQUEST"
    assert raised.value.details["field"].startswith(next(iter(options)))


@pytest.mark.parametrize(
    ("prompt", "field"),
    [("half \ud83d", r"prompts\[1\]\.text"), ([3, -4], r"prompts\[1\]\.tokens\.ids\[1\]")],
)
def test_a_prompt_the_wire_cannot_carry_is_refused_by_its_place(prompt, field):
    with pytest.raises(stepwire.InvalidRequest, match=f"^{field} must be"):
        wire.generate_request("m", "", ["a", prompt], 1, DecodingOptions())


def test_a_text_the_wire_cannot_carry_is_refused_by_its_place():
    with pytest.raises(stepwire.InvalidRequest, match=r"^texts\[2\] must be text that UTF-8"):
        wire.classify_request("m", "", ["a", "b", "\udcff" * 999], None, truncate=False)


def test_a_stop_text_alone_is_not_taken_for_its_characters():
    with pytest.raises(TypeError, match="sequence of texts, got the text 'end'"):
        DecodingOptions(stop="end")
