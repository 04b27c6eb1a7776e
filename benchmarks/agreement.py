"""Whether served n-best lists are those of a plain beam search in PyTorch.

    python -m benchmarks.agreement

translates the first 200 captions of Multi30k's test_2016 with our server, all at once, and one
by one with the naive server's translator, and compares lists of five. Needs the data
($STEPWIRE_DATA).
"""

import asyncio
import sys
from pathlib import Path

import grpc

from benchmarks import servers
from benchmarks.naive.translator import Translator
from benchmarks.texts import captions
from stepwire.v1.generation_pb2 import Hypothesis, TranslateRequest
from stepwire.v1.generation_pb2_grpc import GenerationServiceStub
from stepwire_zoo.bundle import open_bundle

BUNDLES = Path(__file__).resolve().parents[1] / "model_zoo" / "bundles"
MODEL = "multi30k-en-de"
SENTENCES = 200
WIDTH = 5
MAX_TOKENS = 60


async def served(address: str, sentences: list[str]) -> list[list[Hypothesis]]:
    """The n-best lists of our server, by sentence."""
    request = TranslateRequest(model=MODEL)
    for sentence in sentences:
        request.sources.add(text=sentence)
    request.options.beam_width = request.options.num_hypotheses = WIDTH
    request.options.max_tokens = MAX_TOKENS
    found: dict[int, list[Hypothesis]] = {}
    async with grpc.aio.insecure_channel(address) as channel:
        async for message in GenerationServiceStub(channel).Translate(request):  # type: ignore[no-untyped-call]
            for update in message.updates:
                found[update.source_index] = list(update.hypotheses)
    return [found[index] for index in range(len(sentences))]


async def main() -> int:
    """Runs the command; the answer is its exit code."""
    sentences = captions().sentences[:SENTENCES]
    with servers.running({servers.OURS: servers.ours(BUNDLES)}) as (ours,):
        lists = await served(ours.address, sentences)
    reference = Translator(open_bundle(BUNDLES / MODEL / "1"), threads=1)
    same, furthest = 0, 0.0
    for sentence, hypotheses in zip(sentences, lists, strict=True):
        wanted = reference.translate(sentence, WIDTH, WIDTH, MAX_TOKENS)
        if [list(one.token_ids) for one in hypotheses] == [one.tokens for one in wanted]:
            same += 1
            gaps = (abs(a.score - b.score) for a, b in zip(hypotheses, wanted, strict=True))
            furthest = max(furthest, *gaps)
        else:
            print(f"differs: {sentence}")
    print(f"{same} of {len(sentences)} lists of {WIDTH} are equal; scores within {furthest:.1e}")
    return 0 if same == len(sentences) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
