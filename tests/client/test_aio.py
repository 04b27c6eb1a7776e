import asyncio
import gc
import math

import pytest

import stepwire
from client.fakes import SEED
from stepwire import DecodingOptions, FinishReason


async def left(service):
    return await asyncio.to_thread(service.left.wait, 5)


async def test_text_arrives_piece_by_piece(aclient):
    stream = aclient.generate("endless", "la")
    assert [await anext(stream) for _ in range(3)] == ["la", "la", "la"]


async def test_a_stream_that_has_ended_knows_its_text_and_its_summary(aclient):
    stream = aclient.generate("echo", "ROMEO:", options=DecodingOptions(seed=3))
    assert [text async for text in stream] == ["R", "O", "M", "E", "O", ":"]
    assert stream.text == "ROMEO:"
    assert stream.summary.finish_reason is FinishReason.LENGTH
    assert stream.summary.seed == 3


async def test_a_stream_cut_short_does_not_look_whole(aclient):
    with pytest.raises(stepwire.InternalError, match="1 sequences unfinished"):
        [text async for text in aclient.generate("cut", "la")]


async def test_a_server_that_is_lost_behind_the_last_piece_took_nothing_along(aclient):
    assert [text async for text in aclient.generate("lost", "la")] == ["l", "a"]


async def test_leaving_the_block_frees_the_server(aclient, service):
    async with aclient.generate("endless", "la") as stream:
        await anext(stream)
    assert await left(service)


async def test_breaking_out_of_the_loop_frees_the_server(aclient, service):
    async for _ in aclient.generate("endless", "la"):
        break
    gc.collect()
    assert await left(service)


async def test_cancelling_the_reading_task_frees_the_server(aclient, service):
    async def read():
        async for _ in aclient.generate("endless", "la"):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await left(service)


async def test_a_time_limit_around_the_stream_stays_a_time_limit(aclient, service):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            [text async for text in aclient.generate("endless", "la")]
    assert await left(service)


async def test_closing_from_another_task_ends_the_wait_of_the_reader(aclient):
    stream = aclient.generate("endless", "la")
    asyncio.get_running_loop().call_later(0.1, stream.close)
    with pytest.raises(stepwire.Cancelled, match="was cancelled"):
        [text async for text in stream]


async def test_many_streams_run_side_by_side(aclient):
    async def read(prompt):
        return "".join([text async for text in aclient.generate("echo", prompt)])

    prompts = [f"text {number}" for number in range(40)]
    assert await asyncio.gather(*map(read, prompts)) == prompts


async def test_pieces_of_many_sequences_come_with_their_indices(aclient):
    texts = {}
    async for piece in aclient.generate_many("echo", ["ab", "c"], n=2):
        key = piece.prompt_index, piece.sample_index
        texts[key] = texts.get(key, "") + piece.text
    assert texts == {(0, 0): "ab", (0, 1): "ab", (1, 0): "c", (1, 1): "c"}


async def test_texts_are_classified_in_their_order(aclient):
    results = await aclient.classify("judge", ["좋아요", "나빠요"])
    assert [result.label for result in results] == ["positive", "negative"]


async def test_models_are_listed_and_described(aclient):
    assert [model.name for model in await aclient.models()] == ["echo", "broken"]
    assert (await aclient.model("echo")).digest == "ab12"


async def test_a_model_is_loaded_and_unloaded_by_name(aclient, service):
    assert [model.name for model in await aclient.load_model("echo")] == ["echo"]
    await aclient.unload_model("echo")
    assert [request.model for request in service.requests[-2:]] == ["echo", "echo"]


async def test_the_timeout_covers_the_whole_stream(aclient):
    with pytest.raises(stepwire.DeadlineExceeded):
        [text async for text in aclient.generate("endless", "la", timeout_s=0.2)]


async def test_an_infinite_timeout_is_no_deadline(aclient, service):
    await aclient.classify("judge", "a", timeout_s=math.inf)
    assert service.remaining_s == [None]


async def test_a_closed_client_makes_no_calls(aclient):
    await aclient.close()
    with pytest.raises(stepwire.Cancelled, match="client is closed"):
        await aclient.models()
    with pytest.raises(stepwire.Cancelled, match="client is closed"):
        aclient.generate("echo", "la")


async def test_closing_the_client_ends_what_is_under_way(aclient, service):
    service.pause_s = 1.0
    stream = aclient.generate("endless", "la")
    waiting = asyncio.create_task(aclient.classify("judge", "a"))
    await anext(stream)
    await asyncio.sleep(0.1)
    await aclient.close()
    with pytest.raises(stepwire.Cancelled):
        [text async for text in stream]
    with pytest.raises(stepwire.Cancelled, match="was cancelled"):
        await waiting


async def test_options_reach_the_server(aclient, service):
    [_ async for _ in aclient.generate("echo", "a", options=DecodingOptions(seed=SEED, top_k=0))]
    assert service.requests[-1].options.seed == SEED
    assert service.requests[-1].options.HasField("top_k")


def test_a_client_is_made_inside_the_loop_that_runs_it():
    with pytest.raises(RuntimeError, match="no running event loop"):
        stepwire.AsyncClient("localhost:1")


def test_the_module_names_its_client_as_the_synchronous_one_does():
    assert stepwire.aio.Client is stepwire.AsyncClient
