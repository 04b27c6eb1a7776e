"""Files in repositories, loaded as a server loads them and asked without a wire."""

import asyncio
import json

import numpy as np
import onnx
import pytest
import torch

from stepwire_server.registry.registry import ModelState
from stepwire_server.registry.signature import Kind
from support import dropins
from support.asking import ask
from support.dropins import FEATURES, HIDDEN


@pytest.fixture
def serve(served, tmp_path):
    return lambda: served(tmp_path)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


async def test_both_layouts_are_served_beside_each_other(serve, tmp_path):
    put(tmp_path / "perceptron.onnx", dropins.perceptron())
    put(tmp_path / "tagger/1/model.onnx", dropins.lstm())
    put(tmp_path / "tagger/2/model.onnx", dropins.lstm(layers=2))
    models = await serve()
    assert [(e.name, e.version, e.state) for e in models] == [
        ("perceptron", "1", ModelState.READY),
        ("tagger", "1", ModelState.READY),
        ("tagger", "2", ModelState.READY),
    ]
    lease, model = models.lease_tensors("tagger")
    assert (model.signature.kind, model.signature.version) == (Kind.SEQUENCE, "2")
    lease.release()
    lease, model = models.lease_tensors("tagger.explicit", "1")
    assert (model.signature.kind, lease.loaded.task) == (Kind.PLAIN, "tensors")
    lease.release()


async def test_a_plain_model_answers_as_pytorch_does(serve, tmp_path):
    put(tmp_path / "perceptron.onnx", dropins.perceptron())
    _, model = (await serve()).lease_tensors("perceptron")
    x = numbers(0, 5, FEATURES)
    answers = await asyncio.gather(*(ask(model, {"x": x[i : i + 1]}) for i in range(5)))
    with torch.no_grad():
        wanted = dropins.Perceptron()(torch.from_numpy(x)).numpy()
    got = np.concatenate([answer.tensors["y"] for answer in answers])
    np.testing.assert_allclose(got, wanted, atol=1e-5)


async def test_a_sequence_steps_as_pytorch_reads_it_whole(serve, tmp_path):
    names = ("x", "a", "b", "out", "z", "y")
    put(tmp_path / "tagger.onnx", dropins.lstm(names=names))
    _, model = (await serve()).lease_tensors("tagger")
    x = numbers(1, 3, 6, FEATURES)

    async def sequence(row):
        states, outputs = None, []
        for step in range(6):
            tensors = {"x": x[row : row + 1, step : step + 1]}
            answer = await ask(model, tensors, states=states)
            states = answer.states
            outputs.append(answer.tensors["out"][:, 0])
        return np.stack(outputs, 1)

    got = np.concatenate(await asyncio.gather(*(sequence(row) for row in range(3))))
    with torch.no_grad():
        module = dropins.LstmTagger(batch_first=True)
        wanted, _, _ = module(torch.from_numpy(x), *dropins.zero_states(3))
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-5)


async def test_texts_of_unequal_length_answer_as_they_do_alone(serve, tmp_path):
    put(tmp_path / "judge.onnx", dropins.packed_classifier())
    _, model = (await serve()).lease_tensors("judge")
    rng = np.random.default_rng(2)
    texts = [rng.integers(0, dropins.WORDS, (1, size)) for size in (3, 9, 5, 9, 1)]
    answers = await asyncio.gather(*(ask(model, {"tokens": text}) for text in texts))
    module = dropins.PackedClassifier()
    for text, answer in zip(texts, answers, strict=True):
        with torch.no_grad():
            wanted = module(torch.from_numpy(text), torch.tensor([text.shape[1]]))
        np.testing.assert_allclose(answer.tensors["logits"], wanted.numpy(), atol=1e-5)


async def test_a_counter_and_a_buffer_go_on_from_step_to_step(serve, tmp_path):
    put(tmp_path / "ring.onnx", dropins.ring_buffer())
    models = await serve()
    _, kept = models.lease_tensors("ring")
    _, sent = models.lease_tensors("ring.explicit")
    states, own = None, {}
    for step in range(6):
        frame = numbers(step, 1, FEATURES)
        answer = await ask(kept, {"frame": frame}, states=states)
        states = answer.states
        names = ["score", "count_out", "q"]
        by_hand = await ask(sent, {"frame": frame, **own}, wanted=names)
        own = {"count_in": by_hand.tensors["count_out"], "p": by_hand.tensors["q"]}
        np.testing.assert_array_equal(answer.tensors["score"], by_hand.tensors["score"])
    assert own["count_in"].tolist() == [6]


async def test_a_fixed_batch_is_served_one_request_a_run(serve, tmp_path):
    put(tmp_path / "one.onnx", dropins.fixed_batch_of_one())
    _, model = (await serve()).lease_tensors("one")
    assert model.signature.max_rows == 0
    assert model.signature.inputs[0].shape == (1, 1, FEATURES)
    x = numbers(3, 4, 1, 1, FEATURES)
    states = [None] * 2
    for step in range(4):
        answers = await asyncio.gather(
            *(ask(model, {"x": x[step]}, states=each) for each in states)
        )
        states = [answer.states for answer in answers]
    with torch.no_grad():
        module = dropins.LstmTagger(batch_first=True)
        wanted, _, _ = module(torch.from_numpy(x[:, 0, 0][None]), *dropins.zero_states(1))
    np.testing.assert_allclose(answers[1].tensors["y"][0, 0], wanted[0, -1].numpy(), atol=1e-5)


async def test_settings_beside_the_file_are_read_from_either_folder(serve, tmp_path):
    said = {
        "states": [{"input": "a", "output": "z", "start": 1.0}, {"input": "b", "output": "y"}],
        "labels": {"out": ["p", "q", "r", "s", "t"]},
        "max_batch_size": 4,
        "sequence_idle_s": 30,
    }
    put(tmp_path / "cell/1/model.onnx", dropins.step_by_hand())
    put(tmp_path / "cell/stepwire.json", json.dumps(said))
    put(tmp_path / "bare.onnx", dropins.step_by_hand())
    put(tmp_path / "bare.stepwire.json", json.dumps(said))
    models = await serve()
    for name in ("cell", "bare"):
        _, model = models.lease_tensors(name)
        assert model.signature.max_rows == 4
        assert model.signature.max_idle_s == 30
        assert model.signature.outputs[0].labels == ("p", "q", "r", "s", "t")
        x = numbers(4, 1, FEATURES)
        answer = await ask(model, {"x": x})
        with torch.no_grad():
            one, zero = torch.ones(1, HIDDEN), torch.zeros(1, HIDDEN)
            wanted, _, _ = dropins.LstmByHand()(torch.from_numpy(x), one, zero)
        np.testing.assert_allclose(answer.tensors["out"], wanted.numpy(), atol=1e-5)


async def test_a_file_that_is_refused_says_why_and_the_rest_serves(serve, tmp_path):
    put(tmp_path / "good.onnx", dropins.perceptron())
    put(tmp_path / "asks.onnx", dropins.step_by_hand())
    put(tmp_path / "cut.onnx", dropins.perceptron()[:-40])
    put(tmp_path / "said.onnx", dropins.perceptron())
    put(tmp_path / "said.stepwire.json", '{"mergee": "never"}')
    put(tmp_path / "a name/1/model.onnx", dropins.perceptron())
    outside = onnx.load_model_from_string(dropins.perceptron())
    (tmp_path / "outside/1").mkdir(parents=True)
    onnx.save(
        outside, tmp_path / "outside/1/model.onnx", save_as_external_data=True, size_threshold=0
    )
    models = await serve()
    reasons = {entry.name: entry.reason for entry in models}
    assert reasons.pop("good") == ""
    assert "does z or y take the place of a" in reasons["asks"]
    assert "asks.stepwire.json" in reasons["asks"]
    assert reasons["cut"].startswith("FileMismatch: cut.onnx")
    assert "mergee: not a field" in reasons["said"]
    assert "a model's name must" in reasons["a name"]
    assert "onnx.save" in reasons["outside"]


async def test_a_wild_index_fails_its_own_request_alone(serve, tmp_path):
    put(tmp_path / "judge.onnx", dropins.classifier())
    _, model = (await serve()).lease_tensors("judge")
    good, wild = np.array([[1, 2, 3]]), np.array([[1, 2**40, 3]])
    alone = await ask(model, {"tokens": good})
    answers = await asyncio.gather(
        *(ask(model, {"tokens": tokens}) for tokens in (good, wild, good)), return_exceptions=True
    )
    assert type(answers[1]).__name__ == "InvalidRequest"
    for answer in (answers[0], answers[2]):
        np.testing.assert_array_equal(answer.tensors["logits"], alone.tensors["logits"])
