"""Generators whose state is no recurrent cell's: whole numbers, or a window of keys and values."""

import asyncio
import secrets
from base64 import b64encode
from dataclasses import replace

import pytest
import torch

import stepwire
from e2e.conftest import server_config
from stepwire import DecodingOptions, Outputs, SessionOptions
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipes import RECIPES
from stepwire_training.train import train

REACH = {"tiny-ngram": 2, "tiny-window": 15}
TEXT = "the king forgets my lady.\na fool praises the ghost.\n"
KEEPING = SessionOptions(max_snapshots=1)
WAYS = {
    "greedy": DecodingOptions(max_tokens=20),
    "sampled": DecodingOptions(max_tokens=20, temperature=1.2, seed=3),
    "searched": DecodingOptions(max_tokens=12, beam_width=4, num_hypotheses=3),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    torch.set_num_threads(1)
    zoo, runs = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("runs")
    for name in (*REACH, "tiny-visible"):
        recipe = RECIPES[name]()
        dataset = recipe.data.load()
        progress = train(recipe, dataset, runs, Interrupt()).progress
        publish(Finished(recipe=recipe, dataset=dataset, progress=progress, machine="a test"), zoo)
    return zoo


@pytest.fixture
def config(zoo, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"first {b64encode(secrets.token_bytes(32)).decode()}\n")
    return server_config(zoo, batching=BatchingConfig(max_rows=8), key_file=keys)


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
        yield client


async def told(client, model, prompt, options):
    """Everything that a call says, but for times."""
    async with client.generate_many(model, [prompt], options=options) as stream:
        pieces = [piece async for piece in stream]
    text = "".join(piece.text for piece in pieces)
    hypotheses = [(h.text, h.score) for h in pieces[-1].hypotheses]
    return text, [t for piece in pieces for t in piece.token_ids], hypotheses


async def test_models_of_every_kind_prove_that_rows_stand_alone(app):
    assert [entry.reason for entry in app.models if entry.reason] == []
    assert all(entry.loaded.stands_alone for entry in app.models)


@pytest.mark.parametrize("model", REACH)
async def test_company_and_known_beginnings_change_nothing(app, client, config, model):
    prompts = [TEXT[:cut] for cut in (1, 9, 26, 40)]
    alone = [[await told(client, model, p, way) for p in prompts] for way in WAYS.values()]
    together = await asyncio.gather(
        *(told(client, model, p, way) for way in WAYS.values() for p in prompts)
    )

    assert together == [answer for answers in alone for answer in answers]


@pytest.mark.parametrize("model", REACH)
async def test_states_that_stay_where_they_are_computed_are_the_same(client, config, model):
    prompts = [TEXT[:cut] for cut in (9, 26, 40)]
    wanted = [await told(client, model, p, way) for way in WAYS.values() for p in prompts]
    holding = replace(config, runtime=RuntimeConfig(hold_states=True))
    async with (
        App(holding).running() as app,
        stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as other,
    ):
        calls = (told(other, model, p, way) for way in WAYS.values() for p in prompts)
        assert await asyncio.gather(*calls) == wanted


@pytest.mark.parametrize("model", REACH)
async def test_a_state_goes_on_elsewhere_and_back(client, config, model):
    async with client.session(model) as session:
        await session.step(TEXT)
        token = await session.export()
        wanted = await session.step("a f", outputs=Outputs(logits=True))
    async with (
        App(config).running() as other,
        stepwire.AsyncClient(f"127.0.0.1:{other.grpc_port}") as elsewhere,
        elsewhere.session(model, options=KEEPING, state_token=token) as resumed,
    ):
        got = await resumed.step("a f", outputs=Outputs(logits=True), snapshot=True)
        await resumed.roll_back(got.first_step)
        again = await resumed.step("a f", outputs=Outputs(logits=True))

    assert wanted.last.logits == got.last.logits == again.last.logits


@pytest.mark.parametrize(("model", "reach"), REACH.items())
async def test_a_prompt_beyond_the_reach_is_read_and_said_to_be(client, model, reach):
    assert (await client.model(model)).limits.reach == reach
    for length, forgotten in ((reach, 0), (reach + 5, 5)):
        async with client.generate(model, (TEXT * 2)[:length]) as stream:
            async for _ in stream:
                pass
        assert stream.summary.prompt_tokens_forgotten == forgotten


@pytest.mark.parametrize(("model", "reach"), REACH.items())
async def test_what_is_forgotten_bears_on_nothing(client, model, reach):
    near = (TEXT * 2)[-reach:]
    one, other, shorter = [
        await told(client, model, before + near, WAYS["sampled"])
        for before in ("the ghost s", "my lady p", "")
    ]
    assert one[:2] == other[:2] == shorter[:2]


async def test_a_session_tells_the_memory_of_chosen_cells_and_of_no_others(client):
    asked = Outputs(hidden_units=[0, 15], every_step=True)
    async with client.session("tiny-visible") as session:
        step = await session.step("the king", outputs=asked)
        assert all(-1 < unit < 1 for each in step.outputs for unit in each.hidden)
        assert len({each.hidden for each in step.outputs}) == len("the king")
        with pytest.raises(stepwire.InvalidRequest, match=r"hidden_units\[0\] must be below 16"):
            await session.step("s", outputs=Outputs(hidden_units=[16]))


@pytest.mark.parametrize("model", REACH)
async def test_scores_are_those_of_reading_step_by_step(client, model):
    [score] = await client.score(model, [TEXT])
    async with client.session(model, options=KEEPING) as session:
        steps = await session.step(TEXT, outputs=Outputs(top_k=20, every_step=True))
    wanted = [
        next(t.logprob for t in step.tokens if t.token_id == scored.token_id)
        for step, scored in zip(steps.outputs[:-1], score.tokens, strict=True)
    ]
    assert [scored.logprob for scored in score.tokens] == pytest.approx(wanted, abs=1e-5)
