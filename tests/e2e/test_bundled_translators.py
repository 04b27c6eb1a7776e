"""The zoo's translators, served, against one sentence at a time in PyTorch."""

import asyncio

import pytest
from benchmarks.naive.translator import Translator

import stepwire
from e2e.conftest import ZOO, server_config, some_of_zoo
from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.manifest import FLOAT32, INT8

NAME = "tatoeba-en-fr"
SENTENCES = (
    "Hello!",
    "Where is the station?",
    "I don't know who you are.",
    "I think we should wait here until the rain stops.",
    "She asked me whether I had ever been to Paris.",
    "The weather was so bad that we stayed at home.",
    "You should have told me sooner.",
    "My brother works in a bank, and my sister is a doctor.",
    "How much does this book cost?",
    "He was too tired to walk any further, so we took a taxi to the hotel near the river.",
    "Nobody understood what the old man was trying to say.",
    "Is there anything that I can do to help you with your work tomorrow morning?",
)
SEARCH = stepwire.DecodingOptions(beam_width=5, num_hypotheses=5, max_tokens=40)


@pytest.fixture(params=[FLOAT32, INT8])
def precision(request):
    return request.param


@pytest.fixture
def config(tmp_path, precision):
    repository = some_of_zoo(tmp_path / "zoo", NAME)
    runtime = RuntimeConfig(precision=precision)
    return server_config(repository, batching=BatchingConfig(max_rows=32), runtime=runtime)


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
        yield client


@pytest.mark.parametrize("precision", [FLOAT32], indirect=True)
async def test_the_n_best_lists_are_those_of_pytorch(client):
    reference = Translator(open_bundle(ZOO / NAME / "1"), threads=1)
    results = await client.translate(NAME, SENTENCES, options=SEARCH)
    for sentence, result in zip(SENTENCES, results, strict=True):
        wanted = await asyncio.to_thread(reference.translate, sentence, 5, 5, 40)
        assert [list(h.token_ids) for h in result.hypotheses] == [one.tokens for one in wanted]
        scores = [hypothesis.score for hypothesis in result.hypotheses]
        assert scores == pytest.approx([one.score for one in wanted], abs=1e-4)


async def test_a_sentence_gives_the_same_bits_alone_and_among_others(client):
    options = stepwire.DecodingOptions(beam_width=5, num_hypotheses=5, max_tokens=40, logprobs=2)
    wanted = stepwire.Translating(return_attention=True)
    together = await client.translate(NAME, SENTENCES, options=options, wanted=wanted)
    for sentence, result in list(zip(SENTENCES, together, strict=True))[::3]:
        [alone] = await client.translate(NAME, sentence, options=options, wanted=wanted)
        assert alone.hypotheses == result.hypotheses
