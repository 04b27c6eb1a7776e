import asyncio
import json

import numpy as np
import pytest

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.tensors.asked_options import read_options
from support.asking import load, parts_of
from support.tiny import write_generation
from support.tiny_translator import write_translation


@pytest.fixture
async def models(tmp_path):
    loaded = [load(write_generation(tmp_path)), load(write_translation(tmp_path))]
    yield {name: model for each in loaded for name, model in each.tensors.items()}
    for each in loaded:
        await asyncio.to_thread(each.stop)


def text_input(text, **others):
    return {"text_input": np.array([text.encode()], object), **others}


def whole(parts):
    return b"".join(part["text_output"][0] for part in parts)


async def test_pieces_are_the_text_that_the_native_call_gives(models):
    parameters = {"max_tokens": 20, "temperature": 1.0, "seed": 7}
    parts = await parts_of(models["tiny.generate"], text_input("abc"), parameters=parameters)
    again = await parts_of(models["tiny.generate"], text_input("abc"), parameters=parameters)
    assert whole(parts) == whole(again)
    assert sum(len(part["token_ids"]) for part in parts) == 20
    assert [part["finish_reason"][0] for part in parts][-1] == b"length"
    assert all(part["finish_reason"][0] == b"" for part in parts[:-1])


async def test_options_may_come_as_json(models):
    said = np.array([json.dumps({"max_tokens": 5, "seed": 3}).encode()], object)
    parts = await parts_of(
        models["tiny.generate"], text_input("abc", sampling_parameters=said), parameters={}
    )
    assert sum(len(part["token_ids"]) for part in parts) == 5


async def test_a_caller_may_want_the_whole_text_at_once(models):
    parameters = {"max_tokens": 20}
    parts = await parts_of(models["tiny.generate"], text_input("abc"), parameters=parameters)
    [one] = await parts_of(
        models["tiny.generate"],
        text_input("abc", stream=np.array([False])),
        parameters=parameters,
    )
    assert one["text_output"][0] == whole(parts)
    assert len(one["token_ids"]) == 20


async def test_only_what_is_wanted_is_given(models):
    parts = await parts_of(
        models["tiny.generate"], text_input("a"), wanted=["token_ids"], parameters={"max_tokens": 2}
    )
    assert all(list(part) == ["token_ids"] for part in parts)


async def test_a_translation_comes_in_pieces(models):
    parts = await parts_of(
        models["tiny-translator.translate"],
        text_input("abc"),
        parameters={"max_tokens": 12, "beam_width": 3},
    )
    assert parts[-1]["finish_reason"][0] in (b"stop", b"length")
    assert whole(parts)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_token": 5}, "parameter max_token must be one of beam_width, "),
        ({"max_tokens": "5"}, "max_tokens must be a whole number, got 5"),
        ({"max_tokens": True}, "max_tokens must be a whole number, got True"),
        ({"temperature": "hot"}, "temperature must be a number, got hot"),
        ({"temperature": float("nan")}, "temperature must be in"),
        ({"seed": -1}, "seed must be in"),
        ({"stop": [1]}, r"stop\[0\] must be str, got 1"),
        ({"stop_token_ids": "1"}, "stop_token_ids must be a list of int"),
        ({"logit_bias": {"a": 1}}, "logit_bias must have tokens as names, got a"),
        ({"logit_bias": 3}, "logit_bias must be an object"),
        ({"length_normalization": "log"}, "length_normalization must be one of plain, gnmt"),
        ({"replace_unknowns": 1}, "replace_unknowns must be true or false"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(parameters, message):
    with pytest.raises(InvalidRequest, match=message):
        read_options(None, parameters, {"max_tokens": 16})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"{", "sampling_parameters must be JSON"),
        (b"[1]", "sampling_parameters must be a JSON object, got list"),
        (b"\xff", "sampling_parameters must be JSON"),
        (b"[" * 100_000, "sampling_parameters must be JSON"),
    ],
)
def test_options_that_are_no_json_object_are_refused(said, message):
    with pytest.raises(InvalidRequest, match=message):
        read_options(said, {}, {"max_tokens": 16})


def test_a_parameter_wins_over_the_text_and_the_text_over_the_default():
    options = read_options(b'{"max_tokens": 5, "top_k": 3}', {"top_k": 4}, {"max_tokens": 16})
    assert (options.max_tokens, options.top_k) == (5, 4)


def test_a_beam_takes_the_place_of_a_default_temperature():
    options = read_options(None, {"beam_width": 4}, {"max_tokens": 16, "temperature": 0.8})
    assert options.beam_width == 4
    assert options.temperature == 0


async def test_a_text_that_is_not_utf8_is_refused(models):
    with pytest.raises(InvalidRequest, match="text_input must be UTF-8"):
        await parts_of(models["tiny.generate"], {"text_input": np.array([b"\xff"], object)})
