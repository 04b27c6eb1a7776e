"""The bundles that are published, served as a user gets them."""

import asyncio
import gzip
import os
from pathlib import Path

import grpc
import numpy as np
import pytest

from e2e.conftest import ZOO, server_config
from stepwire.v1 import labeling_pb2, labeling_pb2_grpc
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig, ModelControl, RuntimeConfig
from stepwire_server.engine.graph import Graph, SequenceGraph, StepGraph
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.index import find_bundles
from stepwire_zoo.manifest import FLOAT32, INT8
from support.calls import a_request, generate

GENERATORS = ("shakespeare-lstm", "shakespeare-gru", "shakespeare-rnn")
OTHER_GENERATORS = (
    *("shakespeare-ngram", "shakespeare-transformer", "shakespeare-ln-lstm", "wikitext2-lstm"),
    *("war-and-peace-lstm", "linux-kernel-lstm"),
)
MIB = 2**20


@pytest.fixture
def lazily():
    return True


@pytest.fixture
def config(lazily):
    return server_config(ZOO, batching=BatchingConfig(), control=ModelControl(lazy=lazily))


@pytest.mark.parametrize("lazily", [False])
async def test_every_bundle_proves_itself_and_no_row_depends_on_another(app):
    assert {entry.name for entry in app.models} >= {*GENERATORS, "nsmc-bilstm"}
    assert [entry.reason for entry in app.models if entry.reason] == []
    for entry in app.models:
        wanted = INT8 if INT8 in entry.bundle.manifest.variants else FLOAT32
        assert entry.loaded.precision == (wanted, "")
        assert entry.loaded.stands_alone


def test_bundles_stay_within_their_budget():
    sizes = [open_bundle(place.folder).manifest.size_bytes for place in find_bundles(ZOO)]
    assert max(sizes) <= 24 * MIB
    assert sum(sizes) <= 250 * MIB


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *((name, way) for name in (*GENERATORS, "nsmc-lstm-stream") for way in (FLOAT32, INT8)),
        *((name, FLOAT32) for name in OTHER_GENERATORS),
    ],
)
def test_a_step_gives_the_same_bits_in_a_batch_of_any_size_at_any_place(name, precision):
    bundle = open_bundle(ZOO / name / "1")
    spec, _ = bundle.manifest.graph("step", precision)
    assert (precision == INT8) == ("int8" in spec.file)
    step = StepGraph(Graph(bundle.read(spec.file), spec, RuntimeConfig()), spec)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 65, 256)
    states = {
        state.input: rng.uniform(-1, 1, (256, *state.shape)).astype(np.float32)
        if state.dtype == FLOAT32
        else rng.integers(0, 9, (256, *state.shape))
        for state in spec.states
    }
    together = step.step(tokens, states)
    for size in (1, 2, 3, 7, 8, 16, 31, 64, 127, 128, 200):
        first = int(rng.integers(0, 256 - size + 1))
        rows = slice(first, first + size)
        logits, following, _ = step.step(tokens[rows], {n: s[rows] for n, s in states.items()})
        np.testing.assert_array_equal(logits, together[0][rows])
        for state_name, state in following.items():
            np.testing.assert_array_equal(state, together[1][state_name][rows])


def test_a_text_gives_the_same_bits_in_a_batch_of_any_size_at_any_place():
    bundle = open_bundle(ZOO / "nsmc-bilstm" / "1")
    spec = bundle.manifest.graphs["sequence"]
    graph = SequenceGraph(Graph(bundle.read(spec.file), spec, RuntimeConfig()), spec)
    rng = np.random.default_rng(0)
    for bucket in spec.buckets[:4]:
        lengths = rng.integers(1, bucket + 1, 32)
        tokens = rng.integers(0, bundle.manifest.tokenizer.vocabulary_size, (32, bucket))
        tokens[np.arange(bucket) >= lengths[:, None]] = 0
        together = graph.run(tokens, lengths)
        for size in (1, 2, 5, 16, 31):
            rows = slice(32 - size, 32)
            alone = graph.run(tokens[rows], lengths[rows])
            for one, other in zip(alone, together[rows], strict=True):
                np.testing.assert_array_equal(one.logits, other.logits)


async def test_a_request_gives_the_same_bits_alone_and_among_127_others(generation):
    def request(index):
        return a_request(
            "ROMEO:" * (index % 7) + "\n",
            model="shakespeare-lstm",
            seed=index,
            temperature=0.9,
            max_tokens=10 + index % 31,
            logprobs=3,
        )

    async def run(index):
        pieces = [piece async for r in generation.Generate(request(index)) for piece in r.pieces]
        return [
            (logprobs.logprob, [(top.token_id, top.logprob) for top in logprobs.top])
            for piece in pieces
            for logprobs in piece.logprobs
        ]

    together = await asyncio.gather(*(run(index) for index in range(128)))
    for index in range(0, 128, 21):
        assert await run(index) == together[index]


@pytest.mark.parametrize("name", GENERATORS)
async def test_a_generator_writes_words(generation, name):
    texts, _, _ = await generate(
        generation, a_request("\nKING ", model=name, temperature=0.5, seed=1, max_tokens=200)
    )
    common = {"the", "and", "to", "of", "I", "you", "my", "that", "in", "is", "a", "not", "be"}
    words = texts[0, 0].replace("\n", " ").split(" ")
    assert len(common & set(words)) >= 3


async def test_reviews_are_judged_as_a_reader_would(labeling):
    texts = ["정말 재미있게 봤어요 최고의 영화", "돈 아깝다 최악의 영화 시간 낭비"]
    response = await labeling.Classify(
        labeling_pb2.ClassifyRequest(model="nsmc-bilstm", texts=texts)
    )
    assert [result.labels[0].label for result in response.results] == ["positive", "negative"]


async def test_accuracy_of_the_served_model_is_that_of_its_card():
    root = Path(os.environ.get("STEPWIRE_DATA") or Path(__file__).parents[3] / "shared/data")
    path = root / "nsmc/ratings_test.txt.gz"
    if not path.exists():
        pytest.skip("the NSMC test split is not at hand; set STEPWIRE_DATA")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file][1:5001]
    published = open_bundle(ZOO / "nsmc-bilstm/1").manifest.metrics[0]
    async with (
        App(server_config(ZOO)).running() as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel,
    ):
        stub = labeling_pb2_grpc.LabelingServiceStub(channel)
        right = 0
        for start in range(0, len(lines), 500):
            part = lines[start : start + 500]
            request = labeling_pb2.ClassifyRequest(
                model="nsmc-bilstm", texts=[text for _, text, _ in part], top_k=1, truncate=True
            )
            response = await stub.Classify(request)
            right += sum(
                (result.labels[0].label == "positive") == (label == "1")
                for result, (_, _, label) in zip(response.results, part, strict=True)
            )
    # 5,000 texts of 50,000: two standard errors of their mean are one point.
    accuracy = 100 * right / len(lines)
    scale = 1 if published.value > 1 else 100
    assert accuracy == pytest.approx(published.value * scale, abs=1.0)
