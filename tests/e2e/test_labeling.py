import asyncio

import grpc
import numpy as np
import pytest

from stepwire.v1 import labeling_pb2 as pb
from support.calls import error_info
from support.tiny import CHARACTERS, TinyJudge


def expected(text):
    tokens = np.array([[CHARACTERS.index(character) for character in text]])
    logits = TinyJudge().run(tokens, np.array([len(text)]))[0].astype(np.float64)
    return np.exp(logits) / np.exp(logits).sum()


async def test_each_text_gets_its_labels_likeliest_first(labeling):
    texts = ["good", "bad", "a", "indifferent"]
    response = await labeling.Classify(pb.ClassifyRequest(model="judge", texts=texts))
    for text, result in zip(texts, response.results, strict=True):
        negative, positive = expected(text)
        scores = {label.label: label.score for label in result.labels}
        assert scores == pytest.approx({"negative": negative, "positive": positive}, abs=1e-5)
        assert result.labels[0].score >= result.labels[1].score
        assert result.token_count == len(text)


async def test_a_text_gets_the_same_result_alone_and_among_others(labeling):
    texts = ["abcdefghijklmnop"[: 1 + index % 16] for index in range(300)]
    together = await labeling.Classify(pb.ClassifyRequest(model="judge", texts=texts))
    alone = await asyncio.gather(
        *(labeling.Classify(pb.ClassifyRequest(model="judge", texts=[text])) for text in texts)
    )
    assert list(together.results) == [response.results[0] for response in alone]


async def test_top_k_limits_the_labels(labeling):
    request = pb.ClassifyRequest(model="judge", texts=["good"], top_k=1)
    response = await labeling.Classify(request)
    assert len(response.results[0].labels) == 1


@pytest.mark.parametrize("text", ["", "한국어", "e\u0301", "👩‍👩‍👧", "\x00"])
async def test_text_the_model_does_not_know_is_judged_all_the_same(labeling, text):
    response = await labeling.Classify(pb.ClassifyRequest(model="judge", texts=[text]))
    assert sum(label.score for label in response.results[0].labels) == pytest.approx(1)


async def test_a_long_text_is_cut_if_the_caller_says_so(labeling):
    request = pb.ClassifyRequest(model="judge", texts=["a" * 17, "b"], truncate=True)
    response = await labeling.Classify(request)
    assert [result.truncated for result in response.results] == [True, False]
    assert response.results[0].token_count == 16


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (pb.ClassifyRequest(model="judge"), r"number of texts must be in \[1, 1024\], got 0"),
        (
            pb.ClassifyRequest(model="judge", texts=["a"] * 10_000),
            r"number of texts must be in \[1, 1024\], got 10000",
        ),
        (
            pb.ClassifyRequest(model="judge", texts=["a", "b" * 17]),
            r"texts\[1\] must have at most 16 tokens, got 17 tokens",
        ),
        (
            pb.ClassifyRequest(model="judge", texts=["a"], top_k=3),
            r"top_k must be in \[1, 2\], got 3",
        ),
        (
            pb.ClassifyRequest(model="tiny", texts=["a"]),
            "model must be one for classification, got tiny, for generation",
        ),
    ],
)
async def test_a_request_that_cannot_be_met_is_refused_by_field(labeling, request_, message):
    with pytest.raises(grpc.aio.AioRpcError, match=message) as raised:
        await labeling.Classify(request_)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(raised.value).reason == "INVALID_REQUEST"


async def test_a_text_that_is_not_utf8_is_refused_clearly(channel):
    # A message of the right shape, with bytes where the text should be.
    raw = b"\x0a\x05judge" + b"\x1a\x02\xff\xfe"
    call = channel.unary_unary("/stepwire.v1.LabelingService/Classify")
    with pytest.raises(grpc.aio.AioRpcError, match="not UTF-8") as raised:
        await call(raw)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
