"""Translations and scores through the public client and the command, from a real server."""

import asyncio
import json

import pytest

import stepwire
from e2e.conftest import server_config
from stepwire.cli.app import main
from stepwire_server.config import BatchingConfig
from support.tiny import write_generation
from support.tiny_translator import write_translation

MODEL = "tiny-translator"
LINES = [f"{'ab' * (n % 5)} line {'xyz'[n % 3]}" for n in range(150)]


@pytest.fixture
def config(tmp_path):
    write_translation(tmp_path / "zoo")
    write_generation(tmp_path / "zoo")
    return server_config(tmp_path / "zoo", batching=BatchingConfig(max_rows=32))


@pytest.fixture
def target(app):
    return f"127.0.0.1:{app.grpc_port}"


@pytest.fixture
async def client(target):
    async with stepwire.AsyncClient(target) as client:
        yield client


SEARCH = stepwire.DecodingOptions(beam_width=4, num_hypotheses=3, max_tokens=10)


async def test_translations_come_in_the_order_of_their_sources(client):
    results = await client.translate(MODEL, LINES[:20], options=SEARCH)
    for line, result in list(zip(LINES, results, strict=False))[::7]:
        [alone] = await client.translate(MODEL, line, options=SEARCH)
        assert alone.hypotheses == result.hypotheses
        assert result.text == result.hypotheses[0].text
        assert len(result.hypotheses) == 3


async def test_both_clients_give_the_same(client, target):
    wanted = stepwire.Translating(return_attention=True, target_prefixes="a")

    def synchronously():
        with stepwire.Client(target) as other:
            return other.translate(MODEL, "hello", options=SEARCH, wanted=wanted)

    [one] = await asyncio.to_thread(synchronously)
    [other] = await client.translate(MODEL, "hello", options=SEARCH, wanted=wanted)
    assert one.hypotheses == other.hypotheses
    assert one.text.startswith("a")
    assert one.summary.source_token_texts == tuple("hello")
    assert len(one.hypotheses[0].attention[0]) == 5


async def test_updates_add_up_to_the_best_translation(client):
    text = ""
    async with client.stream_translations(MODEL, "hello", options=SEARCH) as updates:
        async for update in updates:
            text += update.text
            if update.is_last:
                assert text == update.hypotheses[0].text


async def test_scores_come_in_the_order_of_their_texts(client):
    texts, sources = ["abc", "hello there", ""], ["x", "yz", "hello"]
    scores = await client.score(MODEL, texts, sources=sources)
    assert [len(score.tokens) for score in scores] == [4, 12, 1]
    for text, source, score in zip(texts, sources, scores, strict=True):
        [alone] = await client.score(MODEL, text, sources=source)
        assert alone.tokens == score.tokens
    [plain] = await client.score("tiny", "abc")
    assert plain.perplexity > 1


async def test_a_source_for_each_text_or_none(client):
    with pytest.raises(stepwire.InvalidRequest, match="sources must have one entry"):
        await client.score(MODEL, ["a", "b"], sources=["x"])
    with pytest.raises(stepwire.InvalidRequest, match="target_prefixes must have one entry"):
        await client.translate(
            MODEL, ["a", "b"], wanted=stepwire.Translating(target_prefixes=["x"])
        )


async def test_a_generator_searches(client):
    with_tails = stepwire.DecodingOptions(beam_width=3, num_hypotheses=2, max_tokens=12)
    pieces = [piece async for piece in client.generate_many("tiny", "hello", options=with_tails)]
    assert "".join(piece.text for piece in pieces) == pieces[-1].hypotheses[0].text
    assert len(pieces[-1].hypotheses) == 2


async def command(target, *arguments):
    return await asyncio.to_thread(main, [arguments[0], "--address", target, *arguments[1:]])


async def test_the_command_translates_a_file_line_by_line(client, target, tmp_path, capsys):
    file = tmp_path / "lines.txt"
    file.write_text("\n".join(LINES) + "\n")
    flags = ("--beam-width", "4", "--num-hypotheses", "3", "--max-tokens", "10", "--json")
    assert await command(target, "translate", MODEL, "--file", str(file), *flags) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["index"] for entry in told] == list(range(len(LINES)))
    results = await client.translate(MODEL, LINES, options=SEARCH)
    for entry, result in zip(told, results, strict=True):
        wanted = [{"text": h.text, "score": h.score} for h in result.hypotheses]
        assert entry == {"index": entry["index"], "hypotheses": wanted}


async def test_the_command_prints_the_best_translation_alone(client, target, capsys):
    assert await command(target, "translate", MODEL, "hello", "ab", "--beam-width", "3") == 0
    options = stepwire.DecodingOptions(beam_width=3)
    wanted = [r.text for r in await client.translate(MODEL, ["hello", "ab"], options=options)]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [" ".join(text.split()) for text in wanted]


async def test_the_command_names_the_line_that_is_refused(target, tmp_path, capsys):
    file = tmp_path / "lines.txt"
    file.write_text("fine\n" + "a" * 65 + "\n")
    assert await command(target, "translate", MODEL, "--file", str(file)) == 1
    assert f"line 2 of {file}: sources[1].text" in capsys.readouterr().err


async def test_the_command_draws_the_alignment(target, tmp_path, capsys):
    image = tmp_path / "map.png"
    flags = ("--attention", str(image), "--beam-width", "2", "--max-tokens", "5")
    assert await command(target, "translate", MODEL, "hello", *flags) == 0
    assert image.read_bytes().startswith(b"\x89PNG")
    assert await command(target, "translate", MODEL, "a", "b", *flags) == 1
    assert "--attention draws a single text" in capsys.readouterr().err


async def test_the_command_scores(client, target, tmp_path, capsys):
    sources = tmp_path / "sources.txt"
    sources.write_text("x\nyz\n")
    flags = ("--sources-file", str(sources))
    assert await command(target, "score", MODEL, "abc", "de", *flags, "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scores = await client.score(MODEL, ["abc", "de"], sources=["x", "yz"])
    assert [entry["perplexity"] for entry in told] == [score.perplexity for score in scores]
    assert await command(target, "score", MODEL, "a", "b", "c", *flags) == 1
    assert "has 2 lines, fewer than the texts" in capsys.readouterr().err
    assert await command(target, "score", "tiny", "abc", "de") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("all 2 texts")
