import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.errors import InvalidRequest
from support.alone import Alone
from support.asking import ask, load
from support.tiny import HIDDEN, VOCABULARY, write_generation
from support.tiny_series import some_rows
from support.tiny_series import write_forecaster as write_tides
from support.tiny_streams import write_watcher
from support.tiny_tagger import LETTERS, WIDTH, WORDS
from support.tiny_word_tagger import some_words, write_word_tagger


@pytest.fixture
def folder(tmp_path):
    return write_generation(tmp_path)


@pytest.fixture
async def tiny(folder):
    loaded = load(folder)
    yield loaded.tensors
    await asyncio.to_thread(loaded.stop)


def tokens(*rows):
    return {"token": np.array(rows, np.int64)}


def alone(folder, read):
    told, _ = Alone(folder).run(read)
    return np.array([step["logits"] for step in told], np.float32)


async def test_a_chunk_gives_what_the_graph_gives_alone(tiny, folder):
    answer = await ask(tiny["tiny"], tokens([3, 1, 4, 1, 5]))
    assert (answer.tensors["logits"][0] == alone(folder, [3, 1, 4, 1, 5])).all()


async def test_steps_one_by_one_are_the_chunk(tiny):
    model, states, steps = tiny["tiny"], None, []
    whole = await ask(model, tokens([3, 1, 4]))
    for token in (3, 1, 4):
        answer = await ask(model, tokens([token]), states=states)
        states = answer.states
        steps.append(answer.tensors["logits"])
    assert (np.concatenate(steps, axis=1) == whole.tensors["logits"]).all()
    assert list(states) == list(whole.states)


async def test_rows_of_one_request_are_sequences_of_their_own(tiny, folder):
    answer = await ask(tiny["tiny"], tokens([3, 1], [2, 7]))
    again = await ask(tiny["tiny"], tokens([5], [5]), states=answer.states)
    assert (again.tensors["logits"][0, 0] == alone(folder, [3, 1, 5])[-1]).all()
    assert (again.tensors["logits"][1, 0] == alone(folder, [2, 7, 5])[-1]).all()


async def test_steps_of_many_requests_share_runs_and_change_nothing(tiny, folder):
    asked = [[n % VOCABULARY, (n * 3) % VOCABULARY] for n in range(40)]
    answers = await asyncio.gather(*(ask(tiny["tiny"], tokens(row)) for row in asked))
    for row, answer in zip(asked, answers, strict=True):
        assert (answer.tensors["logits"][0] == alone(folder, row)).all()
    assert max(answer.timing.batch for answer in answers) > 1


async def test_the_state_may_travel_with_its_caller(tiny, folder):
    explicit, states = tiny["tiny.explicit"], {}
    for place, token in enumerate([3, 1, 4]):
        answer = await ask(explicit, {**tokens([token]), **states})
        states = {name: answer.tensors[f"{name}_next"] for name in ("h", "c")}
        assert (answer.tensors["logits"][0, 0] == alone(folder, [3, 1, 4])[place]).all()


async def test_a_state_that_is_not_finite_is_refused(tiny):
    state = np.full((1, HIDDEN), np.nan, np.float32)
    with pytest.raises(InvalidRequest, match="h must be finite"):
        await ask(tiny["tiny.explicit"], {**tokens([1]), "h": state, "c": state})


async def test_half_a_state_is_refused(tiny):
    with pytest.raises(InvalidRequest, match="c must come with h: a state is whole, got none"):
        await ask(tiny["tiny.explicit"], {**tokens([1]), "h": np.zeros((1, HIDDEN), np.float32)})


@pytest.mark.parametrize("token", [-1, VOCABULARY, 2**62])
async def test_a_token_out_of_range_is_named_with_its_place(tiny, token):
    with pytest.raises(InvalidRequest, match=r"token\[1, 0\] must be in \[0, "):
        await ask(tiny["tiny"], tokens([1], [token]))


async def test_a_request_has_at_least_one_step_and_no_more_than_the_model_reads(tiny):
    with pytest.raises(InvalidRequest, match="between 1 and"):
        await ask(tiny["tiny"], {"token": np.zeros((1, 0), np.int64)})
    with pytest.raises(InvalidRequest, match="between 1 and"):
        await ask(tiny["tiny"], {"token": np.zeros((1, 100_000), np.int64)})


async def test_more_rows_than_may_ever_wait_are_refused_as_a_whole(folder):
    loaded = load(folder, max_waiting=2)
    with pytest.raises(InvalidRequest, match="must be in"):
        await ask(loaded.tensors["tiny"], tokens([1], [1], [1]))
    await asyncio.to_thread(loaded.stop)


async def test_features_are_stepped_too(tmp_path):
    folder = write_tides(tmp_path)
    loaded = load(folder)
    rows = some_rows(5)
    answer = await ask(loaded.tensors["tides"], {"x": rows[None]})
    told, _ = Alone(folder).run(rows)
    for role in ("values", "spread", "score"):
        expected = [step[role] for step in told]
        assert answer.tensors[role][0].reshape(5, -1).tolist() == expected
    rows[2, 0] = np.nan
    with pytest.raises(InvalidRequest, match=r"x\[0, 2, 0\] must be finite, got nan"):
        await ask(loaded.tensors["tides"], {"x": rows[None]})
    await asyncio.to_thread(loaded.stop)


async def test_logits_have_the_texts_of_the_tokens_as_labels(tiny):
    [logits] = tiny["tiny"].signature.outputs
    assert len(logits.labels) == VOCABULARY


async def test_a_classifier_that_reads_along_has_its_labels(tmp_path):
    loaded = load(write_watcher(tmp_path))
    assert sorted(loaded.tensors) == ["watcher", "watcher.classify", "watcher.explicit"]
    [logits] = loaded.tensors["watcher"].signature.outputs
    assert logits.labels == loaded.bundle.manifest.labels
    await asyncio.to_thread(loaded.stop)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6), min_size=1))
def test_chunks_of_any_lengths_come_out_as_alone(tmp_path_factory, rows):
    async def check():
        folder = write_generation(tmp_path_factory.mktemp("zoo"))
        loaded = load(folder)
        answers = await asyncio.gather(*(ask(loaded.tensors["tiny"], tokens(r)) for r in rows))
        for row, answer in zip(rows, answers, strict=True):
            assert (answer.tensors["logits"][0] == alone(folder, row)).all()
        await asyncio.to_thread(loaded.stop)

    asyncio.run(check())


async def test_words_are_stepped_with_their_characters(tmp_path):
    folder = write_word_tagger(tmp_path)
    loaded, words = load(folder), some_words(1, 4)
    try:
        model = loaded.tensors["stream"]
        answer = await ask(model, {"word": words})
        told, _ = Alone(folder).run(words[0])
        assert answer.tensors["logits"][0].tolist() == [step["logits"] for step in told]
        assert model.signature.inputs[0].shape == (-1, -1, 1 + WIDTH)
        kept = await ask(loaded.tensors["stream.explicit"], {"word": words[:, :2]})
        state = {"before": kept.tensors["before_next"]}
        last = await ask(loaded.tensors["stream.explicit"], {"word": words[:, 2:], **state})
        assert (last.tensors["logits"][0] == answer.tensors["logits"][0, 2:]).all()
    finally:
        await asyncio.to_thread(loaded.stop)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("place", "choices"), [(0, len(WORDS)), (WIDTH, len(LETTERS))])
async def test_numbers_that_no_word_or_character_has_are_named(tmp_path, steps, place, choices):
    loaded, words = load(write_word_tagger(tmp_path)), some_words(2, steps)
    words[1, steps - 1, place] = choices
    try:
        message = rf"word\[1, {steps - 1}, {place}\] must be in \[0, {choices - 1}\], got {choices}"
        with pytest.raises(InvalidRequest, match=message):
            await ask(loaded.tensors["stream"], {"word": words})
    finally:
        await asyncio.to_thread(loaded.stop)
