"""Translate and Score through a real server with a tiny translator."""

import asyncio

import grpc
import numpy as np
import pytest

from e2e.conftest import server_config
from stepwire.v1 import generation_pb2 as pb
from stepwire_server.config import BatchingConfig
from support.calls import a_request, error_info, generate
from support.plain_beam import PlainBeam, log_softmax
from support.tiny import CHARACTERS, UNKNOWN, write_generation
from support.tiny_translator import BEGIN, END, TinyTranslator, write_translation

MODEL = "tiny-translator"
SOURCES = ("a", "hello", "the quick brown fox jumps over", "xyz " * 12, "ab", "no")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_translation(folder)
    write_generation(folder, end=5)
    return folder


@pytest.fixture
def config(repository):
    return server_config(repository, batching=BatchingConfig(max_rows=64))


def request(*sources, prefix=None, **fields):
    """A TranslateRequest; a source is a text or a list of tokens."""
    top = {
        name: fields.pop(name)
        for name in ("model", "replace_unknowns", "return_attention", "return_alternatives")
        if name in fields
    }
    fields.setdefault("max_tokens", 12)
    messages = []
    for source in sources:
        message = (
            pb.Source(text=source)
            if isinstance(source, str)
            else pb.Source(tokens=pb.TokenIds(ids=source))
        )
        if prefix is not None:
            message.prefix_text = prefix
        messages.append(message)
    options = pb.DecodingOptions(**fields)
    return pb.TranslateRequest(**{"model": MODEL, **top}, sources=messages, options=options)


async def translate(stub, asked):
    """Reads a whole stream: the last update of each source, and how its text grew."""
    last, grown = {}, {}
    async for response in stub.Translate(asked):
        for update in response.updates:
            index = update.source_index
            assert index not in last, "an update came after the summary"
            before = grown.setdefault(index, [""])
            before.append(before[-1] + update.text)
            if update.HasField("summary"):
                last[index] = update
    for index, update in last.items():
        assert grown[index][-1] == update.hypotheses[0].text
    return [last[index] for index in range(len(asked.sources))], grown


def texts(update):
    return [hypothesis.text for hypothesis in update.hypotheses]


def ids_of(text):
    return [CHARACTERS.find(character) % (UNKNOWN + 1) for character in text]


def plainly(source, width, wanted=1, prefix="", max_tokens=12, edit=None):
    """The same by lists and loops, with NumPy."""
    model = TinyTranslator()
    memory, start = model.read(ids_of(source))

    def step(token, h):
        logits, h, _ = model.step(token, h, memory)
        return logits, h

    beam = PlainBeam(
        step=step,
        width=width,
        wanted=wanted,
        end=END,
        max_tokens=max_tokens,
        suppressed=(UNKNOWN, BEGIN),
        edit=edit,
    )
    return beam.run(start, [BEGIN, *ids_of(prefix)])


def written(hypotheses, prefix=""):
    return [prefix + "".join(CHARACTERS[t] for t in h.tokens) for h in hypotheses]


@pytest.mark.parametrize("width", [2, 5, 10])
async def test_translations_are_those_of_a_plain_search(generation, width):
    updates, _ = await translate(
        generation, request(*SOURCES, beam_width=width, num_hypotheses=width)
    )
    for source, update in zip(SOURCES, updates, strict=True):
        wanted = plainly(source, width, width)
        assert texts(update) == written(wanted)
        found = [hypothesis.score for hypothesis in update.hypotheses]
        np.testing.assert_allclose(found, [h.score for h in wanted], atol=1e-4)


async def test_without_a_beam_the_likeliest_token_is_taken(generation):
    updates, _ = await translate(generation, request(*SOURCES))
    for source, update in zip(SOURCES, updates, strict=True):
        [wanted] = plainly(source, 1)
        assert texts(update) == written([wanted])
        assert update.hypotheses[0].score == pytest.approx(wanted.score, abs=1e-4)


async def test_a_source_gives_the_same_alone_and_among_others_of_any_length(generation):
    requests = [
        request(source, beam_width=width, num_hypotheses=width, return_attention=True, logprobs=2)
        for source in SOURCES
        for width in (2, 5, 10)
    ]
    requests += [request(s, temperature=1.0, seed=5, num_hypotheses=3) for s in SOURCES]
    requests += [request(source) for source in SOURCES]
    alone = [(await translate(generation, one))[0][0].hypotheses for one in requests]
    together = await asyncio.gather(*(translate(generation, one) for one in requests * 2))
    for number, (updates, _) in enumerate(together):
        assert updates[0].hypotheses == alone[number % len(requests)]


async def test_the_stable_text_is_never_taken_back_and_comes_early(generation):
    async def read(source):
        stable, tail, messages = "", "", 0
        asked = request(source, beam_width=5, num_hypotheses=5)
        async for response in generation.Translate(asked):
            for update in response.updates:
                stable, tail, messages = stable + update.text, update.tail, messages + 1
                if update.HasField("summary"):
                    assert not tail
                    assert update.hypotheses[0].text == stable
        return messages

    assert max(await asyncio.gather(*map(read, SOURCES))) > 1


async def test_attention_is_given_for_every_token_when_it_is_asked_for(generation):
    asked = request("hello", beam_width=3, num_hypotheses=2, return_attention=True)
    [update], _ = await translate(generation, asked)
    model = TinyTranslator()
    assert list(update.summary.source_token_texts) == list("hello")
    for hypothesis in update.hypotheses:
        memory, h = model.read(ids_of("hello"))
        tokens = [BEGIN, *hypothesis.token_ids]
        assert len(hypothesis.attention) == len(hypothesis.token_ids)
        for token, looked in zip(tokens, hypothesis.attention, strict=False):
            _, h, wanted = model.step(token, h, memory)
            np.testing.assert_allclose(looked.weights[:5], wanted, atol=1e-5)
            assert len(looked.weights) == 5


async def test_a_forced_prefix_begins_every_hypothesis(generation):
    asked = request("hello", prefix="xy", beam_width=4, num_hypotheses=4)
    [update], _ = await translate(generation, asked)
    assert texts(update) == written(plainly("hello", 4, 4, prefix="xy"), prefix="xy")
    [greedy], _ = await translate(generation, request("hello", prefix="xy"))
    assert texts(greedy) == written(plainly("hello", 1, prefix="xy"), prefix="xy")


async def test_a_prefix_may_be_a_wish(generation):
    async def begun(beta, **options):
        asked = request("hello", prefix="zzz", prefix_bias_beta=beta, **options)
        [update], _ = await translate(generation, asked)
        return update.hypotheses[0].text

    assert (await begun(0.999, beam_width=3)).startswith("zzz")
    assert (await begun(0.999)).startswith("zzz")
    [plain], _ = await translate(generation, request("hello", beam_width=3))
    assert await begun(1e-6, beam_width=3) == plain.hypotheses[0].text


async def test_alternatives_are_the_likeliest_first_tokens_each_continued_greedily(generation):
    asked = request("hello", prefix="a", num_hypotheses=4, return_alternatives=True)
    [update], _ = await translate(generation, asked)
    model = TinyTranslator()
    memory, h = model.read(ids_of("hello"))
    for token in (BEGIN, *ids_of("a")):
        logits, h, _ = model.step(token, h, memory)
    logits[[UNKNOWN, BEGIN]] = -np.inf
    first = np.argsort(-logits, kind="stable")[:4]
    wanted = [CHARACTERS[t] if t != END else "" for t in first]
    assert [text[1:2] for text in texts(update)] == wanted
    for hypothesis, token in zip(update.hypotheses, first, strict=True):
        if token == END:
            continue
        forced = "a" + CHARACTERS[token]
        [one], _ = await translate(generation, request("hello", prefix=forced, max_tokens=11))
        assert hypothesis.text == one.hypotheses[0].text


async def test_samples_come_best_first_and_again_with_their_seed(generation):
    asked = request("hello", temperature=1.5, num_hypotheses=6, seed=9)
    [update], _ = await translate(generation, asked)
    scores = [hypothesis.score for hypothesis in update.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert len(set(texts(update))) > 1
    [again], _ = await translate(generation, asked)
    assert again.hypotheses == update.hypotheses


async def test_an_unknown_word_is_replaced_by_what_was_looked_at(generation):
    bias = {UNKNOWN: 100.0}
    [plain], _ = await translate(generation, request("hello", logit_bias=bias, max_tokens=3))
    assert UNKNOWN not in plain.hypotheses[0].token_ids
    for options in ({}, {"beam_width": 2}):
        asked = request(
            "hello",
            logit_bias=bias,
            max_tokens=3,
            replace_unknowns=True,
            return_attention=True,
            **options,
        )
        [update], _ = await translate(generation, asked)
        [hypothesis] = update.hypotheses
        assert list(hypothesis.token_ids) == [UNKNOWN] * 3
        looked = [int(np.argmax(a.weights)) for a in hypothesis.attention]
        assert hypothesis.text == "".join("hello"[place] for place in looked)


async def test_a_source_is_encoded_once_while_it_is_at_hand(generation):
    first, _ = await translate(generation, request("hello", "hello", "world"))
    assert [update.summary.source_cached for update in first] == [False, False, False]
    again, _ = await translate(generation, request("world", "other"))
    assert [update.summary.source_cached for update in again] == [True, False]
    assert again[0].hypotheses == first[2].hypotheses


async def test_many_sources_come_back_each_as_it_is_ready(generation):
    sources = [f"{'ab' * (n % 7 + 1)}{CHARACTERS[n % 27]}" for n in range(150)]
    updates, _ = await translate(generation, request(*sources, beam_width=5))
    for source, update in list(zip(sources, updates, strict=True))[::10]:
        assert texts(update) == written(plainly(source, 5))


async def test_leaving_a_call_frees_its_places(generation):
    call = generation.Translate(request(*["hello there"] * 40, beam_width=10))
    await call.read()
    call.cancel()
    updates, _ = await translate(generation, request("hello", beam_width=10))
    assert texts(updates[0]) == written(plainly("hello", 10))


async def test_a_score_is_the_log_likelihood_of_the_translation(generation):
    model = TinyTranslator()
    memory, h = model.read(ids_of("hello"))
    wanted, target = [], [*ids_of("world"), END]
    for token, following in zip([BEGIN, *target], target, strict=False):
        logits, h, _ = model.step(token, h, memory)
        wanted.append(log_softmax(logits)[following])
    asked = pb.ScoreRequest(
        model=MODEL, inputs=[pb.ScoreInput(text="world", source_text="hello")] * 2
    )
    results = [r async for response in generation.Score(asked) for r in response.results]
    assert sorted(result.input_index for result in results) == [0, 1]
    for result in results:
        np.testing.assert_allclose([t.logprob for t in result.tokens], wanted, atol=1e-4)
        assert [t.text for t in result.tokens] == [*"world", "</s>"]
        assert result.logprob == pytest.approx(sum(wanted), abs=1e-3)
        assert result.perplexity == pytest.approx(np.exp(-np.mean(wanted)), rel=1e-4)


async def test_a_generator_scores_texts_too(generation):
    asked = pb.ScoreRequest(model="tiny", inputs=[pb.ScoreInput(text="abc")])
    [result] = [r async for response in generation.Score(asked) for r in response.results]
    assert len(result.tokens) == 4  # the end counts
    assert result.logprob < 0


async def test_a_generator_searches_too(generation):
    asked = a_request("hello", beam_width=4, num_hypotheses=3, max_tokens=10)
    pieces = [p async for response in generation.Generate(asked) for p in response.pieces]
    assert "".join(piece.text for piece in pieces) == pieces[-1].hypotheses[0].text
    assert len(pieces[-1].hypotheses) == 3
    assert pieces[-1].HasField("summary")
    texts_of, _, _ = await generate(generation, a_request("hello", max_tokens=10))
    assert texts_of


REFUSED = {
    "an empty source": (request(""), "sources[0].text"),
    "no source at all": (request(), "number of sources"),
    "a source that is not set": (
        pb.TranslateRequest(model=MODEL, sources=[pb.Source()]),
        "sources[0]",
    ),
    "a source over the limit": (request("a" * 65), "sources[0].text"),
    "a token that is not there": (request([9999]), "sources[0].tokens.ids[0]"),
    "a beam over the limit": (request("a", beam_width=33), "beam_width"),
    "a beam over half the vocabulary": (request("a", beam_width=16), "beam_width"),
    "a beam of nothing": (request("a", beam_width=0), "beam_width"),
    "more hypotheses than the beam": (
        request("a", beam_width=2, num_hypotheses=3),
        "num_hypotheses",
    ),
    "a beam with a temperature": (request("a", beam_width=2, temperature=0.5), "temperature"),
    "a beam with top_k": (request("a", beam_width=2, top_k=5), "top_k"),
    "a beam with stop texts": (request("a", beam_width=2, stop=["x"]), "stop"),
    "hypotheses of nothing": (request("a", num_hypotheses=2), "num_hypotheses"),
    "alternatives with a beam": (
        request("a", beam_width=2, return_alternatives=True),
        "return_alternatives",
    ),
    "a patience of nothing": (request("a", beam_width=2, patience=0), "patience"),
    "a length penalty that is no number": (
        request("a", beam_width=2, length_penalty=float("nan")),
        "length_penalty",
    ),
    "a prefix with an unknown token": (request("a", prefix="É"), "sources[0].target_prefix"),
    "a prefix over the limit": (request("a", prefix="a" * 33), "sources[0].target_prefix"),
    "an unknown normalisation": (request("a", length_normalization=9), "length_normalization"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_it_refuses_and_names_the_field(generation, name):
    asked, field = REFUSED[name]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await translate(generation, asked)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value
    assert error_info(caught.value).reason == "INVALID_REQUEST"
    assert caught.value.details().startswith(field), caught.value.details()


async def test_a_generator_does_not_translate_and_has_no_attention_to_give(generation):
    with pytest.raises(grpc.aio.AioRpcError, match="model must be one for translation"):
        await translate(generation, request("a", model="tiny"))
    with pytest.raises(grpc.aio.AioRpcError, match="coverage_penalty"):
        await generate(generation, a_request("a", beam_width=2, coverage_penalty=0.5))


async def test_n_and_a_beam_contradict_each_other(generation):
    with pytest.raises(grpc.aio.AioRpcError, match="n must be 1"):
        await generate(generation, a_request("a", n=2, beam_width=2))


async def test_score_wants_a_source_for_a_translator_and_for_nobody_else(generation):
    for model, entry in {
        MODEL: pb.ScoreInput(text="a"),
        "tiny": pb.ScoreInput(text="a", source_text="b"),
    }.items():
        with pytest.raises(grpc.aio.AioRpcError, match=r"inputs\[0\].source"):
            async for _ in generation.Score(pb.ScoreRequest(model=model, inputs=[entry])):
                pass
