"""A tagger that reads one way, from its training to a bundle."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stepwire_training import parity
from stepwire_training.data.batches import Shard
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.graphs.word_step import word_step_graph
from stepwire_training.interrupt import Interrupt
from stepwire_training.models.stream_tagger import StreamTagger
from stepwire_training.prove_stream_tagger import WORD, WordByWord
from stepwire_training.proved import GOLDEN
from stepwire_training.recipes import tiny
from stepwire_training.train import train
from stepwire_zoo.golden import check, unpack
from stepwire_zoo.manifest import Limits

WIDTH = 5
CONFIG = StreamTagger.Config(
    layers=2, hidden=8, learned=6, embedding=5, vectors=4, character=6, widths=(2, 3), filters=5
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(2)
    made = CONFIG.build(vocabulary=12, labels=4, sources=9).eval()
    made.begin_from((torch.randn(12, 4), torch.rand(9, made.spelling.made_of.shape[1]).round()))
    return made


def some_words(rows, positions):
    rng = np.random.default_rng(rows)
    return np.concatenate(
        [
            rng.integers(12, size=(rows, positions, 1)),
            rng.integers(9, size=(rows, positions, WIDTH)),
        ],
        axis=2,
    )


def test_what_comes_later_changes_no_tag(model):
    words = torch.from_numpy(some_words(3, 8))
    whole, _ = WordByWord(model)(words, model.start(3))
    beginning, _ = WordByWord(model)(words[:, :5], model.start(3))

    torch.testing.assert_close(whole[:, :5], beginning)


def test_word_by_word_the_graph_says_what_pytorch_says_of_the_whole(model):
    case = parity.step_case(WordByWord(model), some_words(3, 9), WORD)
    graph = word_step_graph(model, WIDTH)

    assert parity.prove_step(graph, WordByWord(model), case, GOLDEN, WORD) < 1e-5


def test_another_models_graph_is_no_proof(model):
    case = parity.step_case(WordByWord(model), some_words(3, 9), WORD)
    other = word_step_graph(CONFIG.build(vocabulary=12, labels=4, sources=9).eval(), WIDTH)
    with pytest.raises(parity.ParityError, match="step by step"):
        parity.prove_step(other, WordByWord(model), case, GOLDEN, WORD)


def test_the_word_behind_cannot_be_asked_for():
    with pytest.raises(ValueError, match="pairs must be 0"):
        replace(CONFIG, pairs=16)


@pytest.fixture(scope="module")
def recipe():
    whole = tiny.tagger()
    model = {n: v for n, v in vars(whole.model).items() if n in vars(CONFIG)}
    return replace(
        whole,
        publication=replace(whole.publication, limits=Limits(max_input_tokens=64), buckets=()),
        data=replace(whole.data, reading=replace(whole.data.reading, together=2)),
        model=StreamTagger.Config(**model),
        steps=60,
    )


def test_it_is_published_with_a_step_graph_that_reproduces_its_case(recipe, tmp_path):
    dataset = recipe.data.load()
    progress = train(recipe, dataset, tmp_path / "runs", Interrupt()).progress
    finished = Finished(recipe=recipe, dataset=dataset, progress=progress, machine="a test")
    bundle = publish(finished, tmp_path / "zoo")
    manifest = bundle.manifest

    assert (manifest.task, manifest.graphs.keys()) == ("tagging", {"step"})
    assert [(m.name, m.split) for m in manifest.metrics if m.name == "accuracy"] == [
        ("accuracy", "test"),
        ("accuracy", "test, 2 sentences a text"),
    ]
    case = unpack(bundle.read("golden.npz"))["step"]
    starts = {
        state.input: np.zeros((len(case.inputs[WORD]), *state.shape), np.float32)
        for state in manifest.graphs["step"].states
    }
    graph = parity.session(bundle.read("step.onnx"))
    logits, _ = parity.step_by_step(graph, case.inputs[WORD], starts, WORD)
    check("logits", logits, case.outputs["logits"], manifest.golden)


def test_sentences_that_follow_one_another_are_learned_from_together_too(recipe):
    dataset = recipe.data.load()
    alone = replace(recipe.data, reading=replace(recipe.data.reading, together=1)).load()
    lengths = [
        sum(len(data.train.batch(step, Shard()).inputs[2]) for step in range(len(data.train)))
        for data in (alone, dataset)
    ]

    assert lengths[1] == lengths[0] + lengths[0] // 2
    assert dataset.facts == alone.facts
