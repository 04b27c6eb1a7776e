"""What a classifier looked at, from the wire to the terminal."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import grpc
import numpy as np
import pytest

from stepwire import AsyncClient, InvalidRequest
from stepwire.v1 import labeling_pb2 as pb
from stepwire.v1 import models_pb2
from support.calls import error_info
from support.tiny import write_classification
from support.tiny_attentive import TinyAttentive, write_attentive
from support.tiny_streams import write_watcher
from support.tiny_tagger import WORDS

CLIENT = Path(__file__).parents[2] / "clients" / "python"
BOLD = "\U0001d41d\U0001d428\U0001d420"  # letters that UTF-16 needs pairs for
SEOUL = unicodedata.normalize("NFD", "서울")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_attentive(folder)
    write_classification(folder)
    write_watcher(folder)
    return folder


async def looked_at(labeling, *texts, **options):
    request = pb.ClassifyRequest(model="looker", texts=texts, return_attention=True, **options)
    return (await labeling.Classify(request)).results


def places(result):
    return [(token.text, token.start, token.end) for token in result.tokens]


async def test_every_word_is_told_with_its_place_and_what_it_weighed(labeling):
    [result] = await looked_at(labeling, "The dog  barks.")
    assert places(result) == [("The", 0, 3), ("dog", 4, 7), ("barks", 9, 14), (".", 14, 15)]
    weights = [token.weight for token in result.tokens]
    wanted = TinyAttentive().weights(["the", "dog", "barks", "."])
    assert weights == pytest.approx(wanted.tolist(), abs=1e-6)
    assert sum(weights) == pytest.approx(1)


async def test_attention_is_told_when_it_is_asked_for_and_changes_no_verdict(labeling):
    plain = await labeling.Classify(pb.ClassifyRequest(model="looker", texts=["the dog"]))
    [result] = await looked_at(labeling, "the dog")
    assert not plain.results[0].tokens
    assert list(plain.results[0].labels) == list(result.labels)
    assert plain.results[0].token_count == result.token_count == len(result.tokens)


async def test_a_text_is_looked_at_alone_as_among_others_bit_for_bit(labeling):
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS[1:], size=1 + index % 16)) for index in range(200)]
    together = await looked_at(labeling, *texts)
    alone = await asyncio.gather(*(looked_at(labeling, text) for text in texts))
    assert list(together) == [results[0] for results in alone]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", [("", 0, 0)]),
        (" \t\n", [("", 0, 0)]),
        ("😀 dog", [("😀", 0, 1), ("dog", 2, 5)]),
        ("a👩‍👩‍👧dog", None),  # a family is several marks; where the dog is, is what counts
        (f"{SEOUL} dog", [(SEOUL, 0, 5), ("dog", 6, 9)]),
        (f"x{SEOUL}.", [(f"x{SEOUL}", 0, 6), (".", 6, 7)]),
        (f"{BOLD} dog", [(BOLD, 0, 3), ("dog", 4, 7)]),
        ("\u2028dog\u00a0dog", [("dog", 1, 4), ("dog", 5, 8)]),
    ],
)
async def test_places_are_code_points_of_the_callers_own_text(labeling, text, wanted):
    [result] = await looked_at(labeling, text)
    assert all(text[token.start : token.end] == token.text for token in result.tokens)
    assert wanted is None or places(result) == wanted
    assert sum(token.weight for token in result.tokens) == pytest.approx(1)
    if text.endswith("dog"):
        assert places(result)[-1] == ("dog", len(text) - 3, len(text))


async def test_of_a_text_that_is_cut_the_tokens_that_were_read_are_told(labeling):
    [result] = await looked_at(labeling, "dog " * 40, truncate=True)
    assert result.truncated
    assert places(result)[-1] == ("dog", 60, 63)
    assert len(result.tokens) == result.token_count == 16


@pytest.mark.parametrize("model", ["judge", "watcher"])
async def test_a_model_without_attention_says_so(labeling, model):
    request = pb.ClassifyRequest(model=model, texts=["a"], return_attention=True)
    message = "return_attention must not be given: the model has no attention, got True"
    with pytest.raises(grpc.aio.AioRpcError, match=message) as raised:
        await labeling.Classify(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(raised.value).reason == "INVALID_REQUEST"


@pytest.mark.parametrize(("name", "has"), [("looker", True), ("judge", False)])
async def test_the_description_of_a_model_says_whether_it_has_attention(models, name, has):
    told = (await models.GetModel(models_pb2.GetModelRequest(model=name))).model
    assert any(t.role == "attention" for g in told.graphs for t in g.outputs) is has


async def test_the_client_gives_it(app):
    async with AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
        [result] = await client.classify("looker", "the dog", return_attention=True)
        assert [(it.text, it.start, it.end) for it in result.tokens] == [
            ("the", 0, 3),
            ("dog", 4, 7),
        ]
        [result] = await client.classify("looker", "the dog")
        assert result.tokens == ()
        with pytest.raises(InvalidRequest, match="the model has no attention"):
            await client.classify("judge", "the dog", return_attention=True)


@pytest.fixture
def command(app):
    """Runs `stepwire classify` beside the server, which lives in this loop."""
    environment = os.environ | {
        "STEPWIRE_ADDRESS": f"127.0.0.1:{app.grpc_port}",
        "PYTHONPATH": str(CLIENT),
    }

    def run(args, streams):
        return subprocess.run(
            [sys.executable, "-m", "stepwire", "classify", *args],
            env=environment,
            text=True,
            timeout=60,
            **streams,
        )

    return lambda *args, **streams: asyncio.to_thread(run, args, streams)


async def test_the_command_tells_the_words_below_the_verdict(command):
    done = await command("looker", "--attention", "The dog.", capture_output=True)
    verdict, *words = done.stdout.splitlines()
    assert (done.returncode, verdict.split("\t")[2]) == (0, "The dog.")
    weights = TinyAttentive().weights(["the", "dog", "."])
    wanted = zip(weights, ("The", "dog", "."), strict=True)
    assert words == [f"\t{weight:.4f}\t{word}" for weight, word in wanted]


async def test_a_line_of_json_has_the_words(command):
    done = await command("looker", "--attention", "--json", "😀 dog", capture_output=True)
    told = json.loads(done.stdout)
    assert list(told) == ["label", "score", "tokens"]
    assert [(it["text"], it["start"], it["end"]) for it in told["tokens"]] == [
        ("😀", 0, 1),
        ("dog", 2, 5),
    ]


async def test_in_a_terminal_words_are_shaded_by_their_weight(command):
    ours, theirs = pty.openpty()
    text = "the  dog barks the dog barks ."
    done = await command("looker", "--attention", text, stdout=theirs)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    words = text.split()
    weights = TinyAttentive().weights(words)
    shaded = re.findall(r"\x1b\[30;48;5;\d+m(.+?)\x1b\[0m", shown)
    assert done.returncode == 0
    assert shaded == [word for word, weight in zip(words, weights, strict=True) if weight > 1 / 7]
    assert " ".join(words) in re.sub(r"\x1b\[[\d;]*m", "", shown)
