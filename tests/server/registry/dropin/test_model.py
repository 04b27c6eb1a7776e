import asyncio
import threading

import numpy as np
import pytest
from onnx import TensorProto, helper
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.queueing import DynamicBatching
from stepwire_server.engine.wiring import StatePair, Wire, Wiring
from stepwire_server.errors import InvalidRequest
from stepwire_server.metrics import Metrics, ModelMetrics
from stepwire_server.registry.dropin.model import Terms, faces, make_batcher
from stepwire_server.registry.signature import TEXT, Kind
from stepwire_server.registry.tensor_checks import check
from support import foreign
from support.asking import ask, asked_of, texts
from support.foreign import FEATURES, HIDDEN, LAYERS
from support.tiny import onnx_file


@pytest.fixture
async def serve():
    """Serves graphs as a loader does, each on a thread of its own."""
    running = []
    post = asyncio.get_running_loop().call_soon_threadsafe

    def start(graph, **terms):
        terms = Terms(**{"name": "m", "version": "3", "max_rows": 64, **terms})
        metrics = ModelMetrics(Metrics(CollectorRegistry()), terms.name, terms.version)
        batcher = make_batcher(graph, terms, BatchingConfig(), metrics, Outbox(post, 0))
        thread = threading.Thread(target=batcher.run)
        thread.start()
        running.append((batcher, thread))
        return {model.signature.name: model for model in faces(batcher, terms)}

    yield start
    for batcher, thread in running:
        batcher.stop()
        await asyncio.to_thread(thread.join)


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def shapes(specs):
    return {spec.name: (spec.dtype, spec.shape, spec.batch_axis, spec.optional) for spec in specs}


class TestSignatures:
    """What the outside sees of a wiring."""

    async def test_a_graph_with_states_is_there_twice(self, serve):
        batching = DynamicBatching(preferred_batch_sizes=(4,))
        models = serve(foreign.lstm(), batching=batching, max_idle_s=5.0, config="name: 'm'")
        assert list(models) == ["m", "m.explicit"]
        kept, sent = (model.signature for model in models.values())
        state = ("float32", (LAYERS, -1, HIDDEN), 1)
        assert (kept.kind, sent.kind) == (Kind.SEQUENCE, Kind.PLAIN)
        assert shapes(kept.inputs) == {"x": ("float32", (-1, -1, FEATURES), 0, False)}
        assert shapes(sent.inputs) == {
            **shapes(kept.inputs),
            "c0": (*state, True),
            "h0": (*state, True),
        }
        assert [spec.name for spec in kept.outputs] == ["y", "last"]
        assert [spec.name for spec in sent.outputs] == ["y", "last", "cn", "hn"]
        assert [(a.name, b.name) for a, b in kept.states] == [("c0", "cn"), ("h0", "hn")]
        assert (kept.batching, kept.max_idle_s, kept.config) == (batching, 5.0, "name: 'm'")
        assert (kept.max_rows, kept.version) == (64, "3")

    async def test_a_plain_graph_is_there_once(self, serve):
        models = serve(foreign.classifier(), labels={"logits": ("no", "yes")})
        [plain] = [model.signature for model in models.values()]
        assert (plain.kind, plain.states) == (Kind.PLAIN, ())
        assert [spec.labels for spec in plain.outputs] == [("no", "yes"), ()]
        assert plain.inputs[1].batch_axis is None

    async def test_lengths_may_be_left_out(self, serve):
        model = serve(foreign.lstm(lengths=True))["m"]
        assert [spec.optional for spec in model.signature.inputs] == [False, True]
        x = numbers(0, 2, 3, FEATURES)
        assert check(model.signature, {"x": x}) == 2

    async def test_a_graph_without_rows_says_so(self, serve):
        assert [model.signature.max_rows for model in serve(foreign.counter()).values()] == [0, 0]

    async def test_a_graph_that_gives_nothing_but_its_state_gives_that(self, serve):
        state = Wire(name="s", dtype="float32", shape=(-1, 2))
        after = Wire(name="t", dtype="float32", shape=(-1, 2))
        x = Wire(name="x", dtype="float32", shape=(-1, 2))
        wiring = Wiring(inputs=(x,), outputs=(), states=(StatePair(input=state, output=after),))
        both = (TensorProto.FLOAT, ["N", 2])
        file = onnx_file(
            [helper.make_node("Add", ["x", "s"], ["t"])], {}, {"x": both, "s": both}, {"t": both}
        )
        models = serve(foreign.tensor_graph(file, wiring))
        answer = await ask(models["m"], {"x": np.ones((1, 2), np.float32)})
        again = await ask(models["m"], {"x": np.ones((1, 2), np.float32)}, states=answer.states)
        assert again.tensors["t"].tolist() == [[2, 2]]
        assert [spec.name for spec in models["m.explicit"].signature.outputs] == ["t"]


async def test_states_kept_here_and_states_sent_along_give_the_same(serve):
    models = serve(foreign.lstm())
    x, states, sent = numbers(1, 2, 4, FEATURES), None, {}
    for step in range(4):
        part = {"x": x[:, step : step + 1]}
        kept = await ask(models["m"], part, states=states)
        explicit = await ask(models["m.explicit"], {**part, **sent})
        states = kept.states
        sent = {"h0": explicit.tensors["hn"], "c0": explicit.tensors["cn"]}
        assert (kept.tensors["y"] == explicit.tensors["y"]).all()
        assert explicit.states == ()
    [whole] = [await ask(models["m"], {"x": x})]
    assert (whole.tensors["y"][:, -1:] == kept.tensors["y"]).all()
    assert list(whole.states) == list(states)


async def test_both_faces_share_runs(serve):
    models = serve(foreign.lstm())
    x = numbers(2, 1, 1, FEATURES)
    alone = await ask(models["m"], {"x": x})
    answers = await asyncio.gather(*[ask(models[name], {"x": x}) for name in [*models] * 16])
    assert max(answer.timing.batch for answer in answers) > 16
    for answer in answers:
        assert (answer.tensors["y"] == alone.tensors["y"]).all()


async def test_under_load_every_answer_is_the_one_alone(serve):
    models = serve(foreign.lstm(lengths=True), max_rows=16)
    rng = np.random.default_rng(4)
    asked = [numbers(n, rng.integers(1, 4), rng.integers(1, 30), FEATURES) for n in range(200)]
    lone = serve(foreign.lstm(lengths=True), name="lone")["lone"]
    alone = [await ask(lone, {"x": x}) for x in asked]
    assert {answer.timing.batch for answer in alone} == {1, 2, 3}
    answers = await asyncio.gather(*(ask(models["m"], {"x": x}) for x in asked))
    assert max(answer.timing.batch for answer in answers) > 8
    for one, other in zip(answers, alone, strict=True):
        assert (one.tensors["y"] == other.tensors["y"]).all()
        assert one.tensors["y"].shape == other.tensors["y"].shape
        assert list(one.states) == list(other.states)


async def test_a_sequence_that_begins_again_has_forgotten_everything(serve):
    model = serve(foreign.lstm())["m"]
    x = numbers(3, 1, 2, FEATURES)
    first = await ask(model, {"x": x})
    later = await ask(model, {"x": x}, states=first.states)
    again = await ask(model, {"x": x})
    assert (again.tensors["y"] == first.tensors["y"]).all()
    assert (later.tensors["y"] != first.tensors["y"]).any()


async def test_a_cancelled_request_is_not_answered(serve):
    model = serve(foreign.lstm(), batching=DynamicBatching(max_queue_delay_s=3600))["m"]
    told = []
    cancel = model.begin(
        asked_of(model, {"x": numbers(0, 1, 1, FEATURES)}), told.append, told.append
    )
    cancel()
    cancel()
    assert told == []


async def test_a_step_that_spoils_its_state_leaves_the_old_one_usable(serve):
    model = serve(foreign.lstm())["m"]
    x = numbers(3, 1, 1, FEATURES)
    first = await ask(model, {"x": x})
    with pytest.raises(InvalidRequest, match="x must be finite"):
        await ask(model, {"x": np.full_like(x, np.nan)}, states=first.states)
    assert await ask(model, {"x": x}, states=first.states)


class TestTexts:
    """Texts go in and come out as bytes."""

    @pytest.fixture
    def echo(self, serve):
        text = (TensorProto.STRING, ["N", 1])
        file = onnx_file([helper.make_node("Identity", ["a"], ["b"])], {}, {"a": text}, {"b": text})
        a, b = (Wire(name=name, dtype=TEXT, shape=(-1, 1)) for name in "ab")
        return serve(foreign.tensor_graph(file, Wiring(inputs=(a,), outputs=(b,))))["m"]

    async def test_they_arrive_as_they_are(self, echo):
        sent = texts("ä", "", "a long one")
        answer = await ask(echo, {"a": sent})
        assert answer.tensors["b"].tolist() == sent.tolist()

    async def test_a_request_can_be_asked_again(self, echo):
        sent = texts("ä")
        for _ in range(2):
            await ask(echo, {"a": sent})
        assert sent.tolist() == texts("ä").tolist()

    async def test_bytes_that_are_no_text_are_refused(self, echo):
        with pytest.raises(InvalidRequest, match=r"a\[1\] must be UTF-8, got byte 1 that is not"):
            await ask(echo, {"a": np.array([[b"fine"], [b"n\xff"]], object)})
