"""The naive server must do the same work as ours, or the comparison is worth nothing."""

import grpc
import pytest
from benchmarks.load.generation import run_streams

from benchmarks import servers
from stepwire.v1 import generation_pb2, generation_pb2_grpc, labeling_pb2, labeling_pb2_grpc
from support.tiny import UNKNOWN

PROMPTS = ["", "a", "the king ", "speak of love"]
SENTENCES = ["Two dogs play in the snow.", "A man sits on a bench.", "Hello!"]
TEXTS = ["a", "good", "bad and long", "\u00e9 ?"]


@pytest.fixture(scope="module")
def channels(repository):
    with servers.running(servers.commands(repository)) as started:
        opened = {server.name: grpc.insecure_channel(server.address) for server in started}
        yield opened
        for channel in opened.values():
            channel.close()


def generate(channel, prompt, temperature=0.0):
    request = generation_pb2.GenerateRequest(model="tiny")
    request.prompts.add(text=prompt)
    request.options.max_tokens = 40
    request.options.temperature = temperature
    stub = generation_pb2_grpc.GenerationServiceStub(channel)
    pieces = [piece for message in stub.Generate(request, timeout=20) for piece in message.pieces]
    assert pieces[-1].summary.generated_tokens == 40
    tokens = [token for piece in pieces for token in piece.token_ids]
    return tokens, "".join(piece.text for piece in pieces)


def classify(channel, text):
    request = labeling_pb2.ClassifyRequest(model="judge", texts=[text])
    (result,) = labeling_pb2_grpc.LabelingServiceStub(channel).Classify(request, timeout=20).results
    return result.token_count, {label.label: label.score for label in result.labels}


@pytest.mark.parametrize("variant", servers.NAIVE)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_it_generates_what_ours_generates(channels, variant, prompt):
    assert generate(channels[variant], prompt) == generate(channels[servers.OURS], prompt)


@pytest.mark.parametrize("variant", servers.NAIVE)
def test_it_samples_known_tokens(channels, variant):
    tokens, text = generate(channels[variant], "a", temperature=1.0)
    assert len(text) == len(tokens)
    assert UNKNOWN not in tokens


@pytest.mark.parametrize("variant", servers.NAIVE)
@pytest.mark.parametrize("text", TEXTS)
def test_it_judges_as_ours_judges(channels, variant, text):
    count, scores = classify(channels[variant], text)
    our_count, our_scores = classify(channels[servers.OURS], text)
    assert count == our_count
    assert scores == pytest.approx(our_scores, abs=1e-6)


def translate(channel, sentence):
    request = generation_pb2.TranslateRequest(model="everyday-en-ko")
    request.sources.add(text=sentence)
    request.options.beam_width = 5
    request.options.num_hypotheses = 3
    stub = generation_pb2_grpc.GenerationServiceStub(channel)
    *_, last = stub.Translate(request, timeout=30)
    hypotheses = last.updates[-1].hypotheses
    return [(list(one.token_ids), one.text) for one in hypotheses], [h.score for h in hypotheses]


@pytest.mark.parametrize("variant", servers.NAIVE)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_it_translates_as_ours_translates(channels, variant, sentence):
    found, scores = translate(channels[variant], sentence)
    our_found, our_scores = translate(channels[servers.OURS], sentence)
    assert found == our_found
    assert scores == pytest.approx(our_scores, abs=1e-5)


async def test_a_server_that_finishes_nothing_has_no_figure(repository):
    with servers.running({"ours": servers.ours(repository)}) as (server,):
        unknown = generation_pb2.GenerateRequest(model="nobody")
        with pytest.raises(RuntimeError, match="none of 2 streams"):
            await run_streams(server.address, [unknown, unknown])


def test_a_server_that_cannot_start_says_why(repository):
    command = [*servers.ours(repository), "--provider", "quantum"]
    with pytest.raises(RuntimeError, match="quantum"), servers.running({"ours": command}):
        pass
