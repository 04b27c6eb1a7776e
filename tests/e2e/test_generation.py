import asyncio

import grpc
import pytest

from stepwire.v1 import generation_pb2 as pb
from support.calls import a_request, error_info, generate
from support.tiny import CHARACTERS, TinyCell

INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def test_text_streams_and_ends_with_a_summary(generation):
    texts, tokens, summaries = await generate(generation, a_request("hello", seed=3))
    text, ids, summary = texts[0, 0], tokens[0, 0], summaries[0, 0]
    assert text == "".join(CHARACTERS[token] for token in ids)
    assert len(ids) == summary.generated_tokens == 20
    assert summary.prompt_tokens == 6  # the model's begin token counts
    assert summary.finish_reason == pb.FINISH_REASON_LENGTH
    assert 0 < summary.queue_seconds <= summary.first_token_seconds <= summary.total_seconds


async def test_text_arrives_before_the_sequence_ends(generation):
    call = generation.Generate(a_request("hello", max_tokens=4096))
    first = await call.read()
    assert first.pieces[0].text
    assert not first.pieces[0].HasField("summary")
    call.cancel()


async def test_an_empty_prompt_starts_from_the_models_beginning(generation):
    texts, _, summaries = await generate(generation, a_request(""))
    assert texts[0, 0]
    assert summaries[0, 0].prompt_tokens == 1


async def test_tokens_may_be_given_instead_of_text(generation):
    as_text = await generate(generation, a_request("abc"))
    ids = [CHARACTERS.index(character) for character in "abc"]
    assert (await generate(generation, a_request(ids)))[0] == as_text[0]


async def test_a_seed_that_was_not_given_is_told_and_gives_the_same_text_again(generation):
    request = a_request("hello", temperature=1.5)
    first, _, summaries = await generate(generation, request)
    request.options.seed = summaries[0, 0].seed
    again, _, _ = await generate(generation, request)
    assert again == first


async def test_a_prompt_gives_the_same_text_alone_and_beside_others(generation):
    prompts = ["a", "hello there", "xyz", ""]
    options = {"temperature": 1.2, "seed": 11, "n": 2}
    together, _, _ = await generate(generation, a_request(*prompts, **options))
    for index, prompt in enumerate(prompts):
        alone, _, _ = await generate(generation, a_request(prompt, **options))
        assert [together[index, sample] for sample in range(2)] == list(alone.values())


async def test_128_streams_at_once_do_not_change_each_other(generation):
    requests = [
        a_request("a" * (index % 13), seed=index, temperature=1.0, max_tokens=5 + index % 17)
        for index in range(128)
    ]
    together = await asyncio.gather(*(generate(generation, request) for request in requests))
    for index in range(0, 128, 16):
        assert (await generate(generation, requests[index]))[:2] == together[index][:2]


async def test_a_stop_text_ends_the_sequence_and_is_not_part_of_it(generation):
    whole, _, _ = await generate(generation, a_request("hello", temperature=1.0, seed=5))
    stop = whole[0, 0][8:10]
    cut = whole[0, 0].index(stop)
    request = a_request("hello", temperature=1.0, seed=5, stop=[stop])
    texts, tokens, summaries = await generate(generation, request)
    assert texts[0, 0] == whole[0, 0][:cut]
    assert summaries[0, 0].finish_reason == pb.FINISH_REASON_STOP
    assert len(tokens[0, 0]) == summaries[0, 0].generated_tokens == cut + len(stop)


async def test_logprobs_name_the_likeliest_tokens(generation):
    call = generation.Generate(a_request("abc", logprobs=3, max_tokens=4))
    positions = [lp async for response in call for p in response.pieces for lp in p.logprobs]
    assert len(positions) == 4
    for position in positions:
        values = [token.logprob for token in position.top]
        assert values == sorted(values, reverse=True)
        assert position.top[0].text == CHARACTERS[position.top[0].token_id]
        assert position.logprob <= values[0] <= 0


async def test_characters_the_model_never_saw_are_never_generated(generation):
    request = a_request("abc", temperature=2.0, max_tokens=400, seed=1)
    texts, _, _ = await generate(generation, request)
    assert set(texts[0, 0]) <= set(CHARACTERS)


async def test_greedy_text_is_what_numpy_computes(generation):
    import numpy as np

    prompt = [0, *(CHARACTERS.index(character) for character in "hello")]
    tokens = list(prompt)
    for _ in range(20):
        logits = TinyCell().run(np.array([tokens]))[0, -1]
        tokens.append(int(logits[: len(CHARACTERS)].argmax()))
    _, ids, _ = await generate(generation, a_request("hello"))
    assert ids[0, 0] == tokens[len(prompt) :]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (a_request(), r"number of prompts must be in \[1, 1024\], got 0"),
        (a_request(*["a"] * 1025), r"number of prompts must be in \[1, 1024\], got 1025"),
        (a_request("a", n=0), r"n must be in \[1, 1024\], got 0"),
        (a_request("a", n=9), r"n must be in \[1, 8\], got 9"),
        (a_request("a", "b", n=513), r"number of prompts times n must be in \[1, 1024\]"),
        (
            a_request("aé"),
            r"prompts\[0\].text must hold only .* got 'é' \(U\+00E9\) at character 1",
        ),
        (a_request("a" * 513), r"prompts\[0\].text must have at most 512 tokens, got 513 tokens"),
        (a_request("a" * 10_000_000), "at most 512 tokens, got 10000000 characters"),
        (a_request([29]), r"prompts\[0\].tokens.ids\[0\] must be in \[0, 28\], got 29"),
        (a_request([1] * 513), r"must have at most 512 tokens, got 513 tokens"),
        (a_request("a", max_tokens=0), r"max_tokens must be in \[1, 4096\], got 0"),
        (a_request("a", max_tokens=2**31), r"max_tokens must be in \[1, 4096\], got 2147483648"),
        (a_request("a", min_tokens=21), r"min_tokens must be in \[0, 20\], got 21"),
        (a_request("a", temperature=float("nan")), r"temperature must be in \[0, 2\], got nan"),
        (a_request("a", temperature=-1.0), r"temperature must be in \[0, 2\], got -1"),
        (a_request("a", top_p=0.0), r"top_p must be in \(0, 1\], got 0"),
        (a_request("a", top_k=30), r"top_k must be in \[0, 29\], got 30"),
        (a_request("a", logit_bias={29: 1.0}), r"logit_bias key must be in \[0, 28\], got 29"),
        (a_request("a", stop=[""]), r"length of stop\[0\] must be in \[1, 256\], got 0"),
        (a_request("a", model="judge"), "model must be one for generation, got judge"),
        (
            pb.GenerateRequest(model="tiny", prompts=[pb.Prompt()]),
            r"prompts\[0\] must have text, tokens or a resume token, got none of them",
        ),
    ],
)
async def test_a_request_that_cannot_be_met_is_refused_by_field(generation, request_, message):
    with pytest.raises(grpc.aio.AioRpcError, match=message) as raised:
        await generate(generation, request_)
    assert raised.value.code() is INVALID
    assert error_info(raised.value).reason == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("model", "version", "message"),
    [
        ("nope", "", "no model 'nope'; there are: judge, tiny"),
        ("", "", "no model ''"),
        ("tiny", "7", "no version '7' of model tiny; there are: 1"),
        ("x" * 100_000, "", "no model 'x{64}'"),
    ],
)
async def test_a_model_that_is_not_there_is_not_found(generation, model, version, message):
    request = a_request("a", model=model)
    request.version = version
    with pytest.raises(grpc.aio.AioRpcError, match=message) as raised:
        await generate(generation, request)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert error_info(raised.value).reason == "MODEL_NOT_FOUND"
