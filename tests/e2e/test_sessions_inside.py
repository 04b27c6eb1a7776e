"""Sessions that show what is inside: hidden units, and where a translator looks."""

import grpc
import numpy as np
import pytest

import stepwire
from e2e.conftest import server_config
from e2e.test_sessions import KEY, Dialogue, assert_close, opened, reached
from stepwire.v1 import generation_pb2 as pb
from stepwire.v1 import generation_pb2_grpc, models_pb2
from stepwire.v1 import sessions_pb2 as sessions
from stepwire.v1 import streaming_pb2 as streaming
from support.calls import error_info
from support.plain_beam import log_softmax
from support.tiny import CHARACTERS, TinyCell, write_generation
from support.tiny_translator import BEGIN, TinyTranslator, write_translation

MODEL = "tiny-translator"
EVERYTHING = streaming.Outputs(
    every_step=True, logits=True, attention=True, hidden_units=[2, 0], entropy=True
)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_translation(folder)
    write_generation(folder)
    return folder


@pytest.fixture
def config(repository, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    return server_config(repository, key_file=keys)


def plainly(text, targets):
    """Logits, hidden states and attention behind each target token."""
    translator = TinyTranslator()
    memory, h = translator.read([CHARACTERS.index(character) for character in text])
    found = []
    for token in targets:
        logits, h, attention = translator.step(token, h, memory)
        found.append((logits, h, attention))
    return found


def assert_told(answer, wanted):
    assert len(answer.taken.outputs) == len(wanted)
    for told, (logits, h, attention) in zip(answer.taken.outputs, wanted, strict=True):
        assert_close(told.logits, logits)
        assert_close(told.hidden, h[[2, 0]])
        assert_close(told.attention, attention)
        logprobs = log_softmax(logits)
        assert told.entropy == pytest.approx(-(np.exp(logprobs) * logprobs).sum(), rel=1e-4)


async def test_hidden_units_are_those_of_the_state(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        outputs = streaming.Outputs(hidden_units=[5, 1])
        answer = await dialogue.step(session.id, 0, [3, 4], outputs=outputs)
    cell = TinyCell()
    state = {name: value[None] for name, value in cell.start.items()}
    for token in (3, 4):
        _, state = cell.compute(np.array([token]), state)
    [told] = answer.taken.outputs
    assert_close(told.hidden, state["h"][0, [5, 1]])


async def test_a_translator_is_stepped_while_it_looks_at_its_source(desk, stub):
    session = await opened(desk, MODEL, source_text="hello")
    assert session.source_token_texts == list("hello")
    targets = [BEGIN, 3, 7, 1]
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        first = await dialogue.step(session.id, 0, targets[:1], outputs=EVERYTHING)
        rest = await dialogue.step(session.id, 1, targets[1:], outputs=EVERYTHING)
    wanted = plainly("hello", targets)
    assert_told(first, wanted[:1])
    assert_told(rest, wanted[1:])


async def test_stepping_what_translate_says_gives_its_tokens_and_its_attention(
    channel, desk, stub, models
):
    request = pb.TranslateRequest(model=MODEL, return_attention=True)
    request.sources.add(text="the fox")
    request.options.max_tokens = 12
    hypotheses = []
    async for response in generation_pb2_grpc.GenerationServiceStub(channel).Translate(request):
        hypotheses += [it for update in response.updates for it in update.hypotheses]
    [best] = hypotheses
    session = await opened(desk, MODEL, source_text="the fox")
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        tokens = [BEGIN, *best.token_ids[:-1]]
        answer = await dialogue.step(session.id, 0, tokens, outputs=EVERYTHING)
    told = answer.taken.outputs
    allowed = [token for token in range(len(told[0].logits)) if token not in (BEGIN, BEGIN - 1)]
    likeliest = [max(allowed, key=lambda token: each.logits[token]) for each in told]
    assert likeliest == list(best.token_ids)
    assert [list(each.attention) for each in told] == [list(it.weights) for it in best.attention]


async def test_a_translators_session_goes_on_from_a_token_a_copy_and_a_snapshot(config):
    targets = [BEGIN, 3, 7, 1]
    wanted = plainly("hello", targets)
    async with reached(config) as (_, desk, stub), Dialogue(stub) as dialogue:
        session = await opened(desk, MODEL, source_text="hello", max_snapshots=1)
        unread = await desk.ExportSession(sessions.ExportSessionRequest(session_id=session.id))
        await dialogue.attach(session.id)
        await dialogue.step(session.id, 0, targets[:1], outputs=EVERYTHING)
        answer = await dialogue.step(
            session.id, 1, targets[1:2], outputs=EVERYTHING, snapshot=True, export_state=True
        )
        copy = await opened(desk, MODEL, session_id=session.id)
        await dialogue.attach(copy.id)
        assert_told(await dialogue.step(copy.id, 2, targets[2:], outputs=EVERYTHING), wanted[2:])
        await desk.RollBackSession(sessions.RollBackSessionRequest(session_id=session.id, step=1))
        await dialogue.attach(session.id)
        again = await dialogue.step(session.id, 1, targets[1:], outputs=EVERYTHING)
        assert_told(again, wanted[1:])
    async with reached(config) as (_, desk, stub), Dialogue(stub) as dialogue:
        later = await opened(desk, "", state_token=answer.taken.state_token)
        assert later.source_token_texts == list("hello")
        await dialogue.attach(later.id)
        assert_told(await dialogue.step(later.id, 2, targets[2:], outputs=EVERYTHING), wanted[2:])
        begun = await opened(desk, "", state_token=unread.state_token)
        await dialogue.attach(begun.id)
        assert_told(await dialogue.step(begun.id, 0, targets, outputs=EVERYTHING), wanted)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": MODEL}, "source must be set: the model looks at one, got none"),
        ({"model": MODEL, "source_text": ""}, "source must hold at least one token"),
        ({"model": "tiny", "source_text": "a"}, "source must not be set: the model looks at none"),
        ({"model": MODEL, "source_tokens": pb.TokenIds(ids=[999])}, "source_tokens.ids"),
    ],
)
async def test_a_source_that_does_not_fit_is_refused(desk, fields, message):
    with pytest.raises(grpc.aio.AioRpcError, match=message) as failed:
        await desk.OpenSession(sessions.OpenSessionRequest(**fields))
    assert error_info(failed.value).reason == "INVALID_REQUEST"


async def test_a_copy_has_its_own_source(desk):
    session = await opened(desk, MODEL, source_text="hello")
    with pytest.raises(grpc.aio.AioRpcError, match="source must not be set beside an origin"):
        await opened(desk, "", session_id=session.id, source_text="other")


async def test_a_models_description_tells_its_first_token(models):
    told = await models.GetModel(models_pb2.GetModelRequest(model=MODEL))
    assert told.model.limits.begin_token == BEGIN


async def test_the_client_steps_a_translator(app):
    outputs = stepwire.Outputs(attention=True, hidden_units=[1], every_step=True)
    options = stepwire.SessionOptions(source="hello")
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}", caller="me") as client:
        model = await client.model(MODEL)
        assert model.limits.begin_token == BEGIN
        async with client.session(MODEL, options=options) as session:
            stepped = await session.step([BEGIN, 3], outputs=outputs)
            [info] = await client.sessions()
            assert info.source_token_texts == tuple("hello")
            forked = await session.fork()
            again = await forked.step([7], outputs=outputs)
            await forked.close()
    wanted = plainly("hello", [BEGIN, 3, 7])
    for told, (_, h, attention) in zip([*stepped.outputs, again.last], wanted, strict=True):
        assert_close(told.attention, attention)
        assert_close(told.hidden, h[[1]])
