"""Generate and Translate go on from resume tokens, on another replica, as if nothing happened."""

import asyncio
import secrets
from base64 import b64encode
from contextlib import AsyncExitStack

import grpc
import pytest

from e2e.conftest import server_config
from stepwire.v1 import generation_pb2 as pb
from stepwire.v1 import generation_pb2_grpc
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig
from support.calls import a_request, error_info
from support.tiny import write_classification, write_generation
from support.tiny_translator import write_translation

INVALID = grpc.StatusCode.INVALID_ARGUMENT
SAMPLED = {"temperature": 1.3}

GENERATED = {
    "greedy": {},
    "sampled": {**SAMPLED, "top_k": 20, "top_p": 0.95, "min_p": 0.01},
    "samples": {**SAMPLED, "n": 3, "logprobs": 2},
    "penalties": {
        "repetition_penalty": 1.4,
        "presence_penalty": 0.7,
        "frequency_penalty": 0.3,
        "no_repeat_ngram_size": 2,
    },
    "stop": {**SAMPLED, "stop": ["abc", "x", "zzzz"], "max_tokens": 60},
    "biased": {**SAMPLED, "min_tokens": 10, "suppress_tokens": [3], "logit_bias": {4: 2.0}},
    "beam": {"beam_width": 4, "num_hypotheses": 3, "logprobs": 1},
    "beam with penalties": {"beam_width": 3, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
}
TRANSLATED = {
    "greedy": {"logprobs": 1},
    "beam": {"beam_width": 5, "num_hypotheses": 3},
    "beam of one word": {"beam_width": 2, "max_tokens": 32, "patience": 3.0},
    "looking": {"beam_width": 4, "coverage_penalty": 0.3, "return_attention": True},
    "unknowns": {"replace_unknowns": True, "return_attention": True},
    "samples": {**SAMPLED, "num_hypotheses": 3, "logprobs": 1},
    "alternatives": {"return_alternatives": True, "num_hypotheses": 4},
    "prefix": {"prefix": "he", "beam_width": 3},
    "wish": {"prefix": "he", "prefix_bias_beta": 0.4},
}


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_generation(folder)
    write_generation(folder, "ending", end=5)
    write_translation(folder)
    write_classification(folder)
    return folder


@pytest.fixture
async def replicas(repository, tmp_path):
    """The stubs of two servers with the same keys and the same bundles."""
    keys = tmp_path / "keys"
    keys.write_text(f"first {b64encode(secrets.token_bytes(32)).decode()}\n")
    config = server_config(repository, batching=BatchingConfig(max_rows=64), key_file=keys)
    async with AsyncExitStack() as stack:
        stubs = []
        for _ in range(2):
            app = await stack.enter_async_context(App(config).running())
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
            stubs.append(
                generation_pb2_grpc.GenerationServiceStub(await stack.enter_async_context(channel))
            )
        yield stubs


class Heard:
    """What came of one sequence, and where it could go on from."""

    def __init__(self):
        self.text, self.tokens, self.logprobs, self.ending = "", [], [], None
        self.tokens_of = []  # resume tokens, each with what had come before it

    def hear(self, part, ending):
        self.text += part.text
        if isinstance(part, pb.GeneratedPiece):
            self.tokens += part.token_ids
            self.logprobs += [entry.logprob for entry in part.logprobs]
        if part.HasField("summary"):
            self.ending = (ending(part.summary), [h.SerializeToString() for h in part.hypotheses])
        if part.resume_token:
            before = (len(self.text), len(self.tokens), len(self.logprobs))
            self.tokens_of.append((part.resume_token, before))

    def behind(self, before):
        """What came behind a place."""
        text, tokens, logprobs = before
        return self.text[text:], self.tokens[tokens:], self.logprobs[logprobs:], self.ending


async def generated(stub, request):
    """Every sequence of a call."""
    heard = {}

    def ending(summary):
        return summary.finish_reason, summary.prompt_tokens, summary.generated_tokens, summary.seed

    async for response in stub.Generate(request, timeout=30):
        for piece in response.pieces:
            key = piece.prompt_index, piece.sample_index
            heard.setdefault(key, Heard()).hear(piece, ending)
    return heard


async def translated(stub, request):
    """Every source of a call."""
    heard = {}

    def ending(summary):
        return summary.source_tokens, summary.generated_tokens, summary.seed

    async for response in stub.Translate(request, timeout=30):
        for update in response.updates:
            heard.setdefault(update.source_index, Heard()).hear(update, ending)
    return heard


def resuming(model, token, **fields):
    return pb.GenerateRequest(model=model, prompts=[pb.Prompt(resume_token=token)], **fields)


@pytest.mark.parametrize("model", ["tiny", "ending"])
@pytest.mark.parametrize("name", GENERATED)
async def test_a_sequence_goes_on_elsewhere_as_if_nothing_had_happened(replicas, model, name):
    here, there = replicas
    request = a_request(
        "hello", "xyz", model=model, **{"max_tokens": 24, "seed": 7, **GENERATED[name]}
    )
    plain = await generated(here, request)
    request.resume_every = 5
    whole = await generated(here, request)

    assert {key: (h.text, h.tokens, h.ending) for key, h in whole.items()} == {
        key: (h.text, h.tokens, h.ending) for key, h in plain.items()
    }
    places = [(key, *place) for key, heard in whole.items() for place in heard.tokens_of]
    assert places
    again = await asyncio.gather(
        *(generated(there, resuming(model, token)) for _, token, _ in places)
    )
    for (key, _, before), went_on in zip(places, again, strict=True):
        [(place, heard)] = went_on.items()
        assert place == (0, key[1])
        assert heard.behind((0, 0, 0)) == whole[key].behind(before)


@pytest.mark.parametrize("name", TRANSLATED)
async def test_a_translation_goes_on_elsewhere_as_if_nothing_had_happened(replicas, name):
    here, there = replicas
    fields = {"max_tokens": 20, "seed": 7, **TRANSLATED[name]}
    prefix = fields.pop("prefix", "")
    names = ("replace_unknowns", "return_attention", "return_alternatives")
    top = {field: fields.pop(field) for field in names if field in fields}
    request = pb.TranslateRequest(
        model="tiny-translator", options=pb.DecodingOptions(**fields), resume_every=3, **top
    )
    for text in ("hello", "the quick brown fox jumps", "ab"):
        request.sources.add(text=text, prefix_text=prefix or None)
    whole = await translated(here, request)
    request.resume_every = 0
    plain = await translated(here, request)

    assert {n: (h.text, h.ending) for n, h in whole.items()} == {
        n: (h.text, h.ending) for n, h in plain.items()
    }
    places = [(n, *place) for n, heard in whole.items() for place in heard.tokens_of]
    assert places
    for n, token, before in places:
        source = pb.Source(resume_token=token)
        went_on = await translated(
            there, pb.TranslateRequest(model="tiny-translator", sources=[source])
        )
        assert went_on[0].behind((0, 0, 0)) == whole[n].behind(before)


async def test_it_goes_on_again_and_again(replicas):
    request = a_request("hello", max_tokens=900, temperature=1.2, seed=3)
    request.resume_every = 7
    [whole] = (await generated(replicas[0], request)).values()
    text, token = whole.text[: whole.tokens_of[0][1][0]], whole.tokens_of[0][0]
    for turn in range(3):
        stub = replicas[turn % 2]
        [heard] = (await generated(stub, resuming("tiny", token, resume_every=7))).values()
        token, before = heard.tokens_of[0]
        text += heard.text[: before[0]]
    [rest] = (await generated(replicas[0], resuming("tiny", token))).values()
    assert text + rest.text == whole.text


async def test_a_piece_may_go_on_beside_prompts_that_begin(replicas):
    here, there = replicas
    request = a_request("hello", max_tokens=12)
    request.resume_every = 4
    [whole] = (await generated(here, request)).values()
    token, before = whole.tokens_of[0]
    mixed = a_request("hello", "abc", max_tokens=12)
    mixed.prompts.insert(1, pb.Prompt(resume_token=token))
    heard = await generated(there, mixed)
    assert heard[0, 0].text == whole.text
    assert heard[1, 0].behind((0, 0, 0)) == whole.behind(before)
    assert heard[2, 0].text


async def a_token(stub, **call):
    request = a_request("hello", max_tokens=12)
    request.resume_every = 4
    async for response in stub.Generate(request, **call):
        for piece in response.pieces:
            if piece.resume_token:
                return piece.resume_token
    raise AssertionError


@pytest.mark.parametrize(
    ("change", "model", "reason"),
    [
        (lambda token: token[:-1] + bytes([token[-1] ^ 1]), "tiny", "STATE_TOKEN_FORGED"),
        (lambda token: token[:30], "tiny", "STATE_TOKEN_UNREADABLE"),
        (lambda token: b"", "tiny", "STATE_TOKEN_UNREADABLE"),
        (lambda token: token, "ending", "STATE_TOKEN_OTHER_MODEL"),
    ],
)
async def test_a_token_that_cannot_be_used_is_refused_by_its_reason(
    replicas, change, model, reason
):
    token = change(await a_token(replicas[0]))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await generated(replicas[1], resuming(model, token))
    assert failed.value.code() is INVALID
    assert error_info(failed.value).reason == reason


async def test_another_callers_token_is_refused(replicas):
    token = await a_token(replicas[0], metadata=[("x-stepwire-caller", "me")])
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await generated(replicas[1], resuming("tiny", token))
    assert error_info(failed.value).reason == "STATE_TOKEN_OTHER_OWNER"


async def test_a_sequences_token_opens_no_session_and_a_prefix_does_not_go_with_one(replicas):
    token = await a_token(replicas[0])
    request = pb.TranslateRequest(model="tiny-translator")
    request.sources.add(resume_token=token, prefix_text="he")
    with pytest.raises(grpc.aio.AioRpcError, match="prefix_text must not be given"):
        await translated(replicas[0], request)


async def test_a_slow_reader_loses_nothing_where_sequences_are_saved(replicas):
    request = a_request("hello", max_tokens=3000, temperature=1.0, seed=1)
    [plain] = (await generated(replicas[0], request)).values()
    request.resume_every = 64
    call = replicas[0].Generate(request)
    await asyncio.sleep(0.5)
    heard = Heard()
    async for response in call:
        for piece in response.pieces:
            heard.hear(piece, lambda summary: summary.generated_tokens)
    assert (heard.text, heard.tokens) == (plain.text, plain.tokens)
    token, before = heard.tokens_of[-1]
    [rest] = (await generated(replicas[1], resuming("tiny", token))).values()
    assert heard.text[: before[0]] + rest.text == plain.text


async def test_sequences_that_went_on_are_counted(config_of_one):
    async with App(config_of_one).running() as app:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        await generated(stub, resuming("tiny", await a_token(stub)))
        labels = {"model": "tiny", "version": "1"}
        assert app._metrics.registry.get_sample_value("stepwire_resumes_total", labels) == 1
        await channel.close()


@pytest.fixture
def config_of_one(repository):
    return server_config(repository)
