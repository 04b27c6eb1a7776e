"""What a wider beam is worth: BLEU, what it costs, and how early text is certain.

    python -m benchmarks.widths

translates Multi30k's test_2016 with our server, once for each width, and writes
benchmarks/results/widths.csv and docs/beam_width.png. Needs the data ($STEPWIRE_DATA).
"""

import asyncio
import csv
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import sacrebleu

from benchmarks import servers
from benchmarks.ledger import percentile
from benchmarks.load.translation import PATH, translate_all
from benchmarks.texts import Captions, captions
from stepwire.v1.generation_pb2 import TranslateRequest, TranslateResponse

ROOT = Path(__file__).resolve().parents[1]
MODEL = "multi30k-en-de"
WIDTHS = (1, 2, 5, 10, 20)
CLIENTS = 16
WATCHED = 200  # sentences whose messages are looked at one by one
TABLE = ROOT / "benchmarks" / "results" / "widths.csv"
PLOT = ROOT / "docs" / "beam_width.png"


@dataclass
class Certainty:
    """How far what is certain lags behind the best guess, in characters."""

    tails: list[int] = field(default_factory=list)  # of every message but the last
    at_half: list[float] = field(default_factory=list)  # share that is certain half way
    first: list[float] = field(default_factory=list)  # share of the messages before any text

    def add(self, told: list[tuple[int, int]]) -> None:
        """Takes the characters certain so far, and the tail, after each message of a call."""
        whole = told[-1][0]
        self.tails += [tail for _, tail in told[:-1]]
        self.at_half.append(told[len(told) // 2][0] / whole)
        self.first.append(sum(not certain for certain, _ in told) / len(told))

    def values(self) -> dict[str, float]:
        """The figures of all sentences."""
        return {
            "tail_p50": percentile(self.tails, 50),
            "tail_p90": percentile(self.tails, 90),
            "tail_p99": percentile(self.tails, 99),
            "tail_longest": max(self.tails),
            "certain_half_way": statistics.mean(self.at_half),
            "steps_without_text": statistics.mean(self.first),
        }


async def measure(address: str, wanted: Captions, width: int) -> dict[str, float]:
    """Translates everything with one width."""
    run = await translate_all(address, MODEL, wanted.sentences, clients=CLIENTS, beam_width=width)
    texts = [run.texts[index] for index in range(len(wanted.sentences))]
    bleu = sacrebleu.corpus_bleu(texts, [wanted.references]).score
    values = {"width": width, "bleu": bleu, "sentences_per_s": len(texts) / run.took_s}
    if width > 1:
        values |= (await watch(address, wanted.sentences[:WATCHED], width)).values()
    return values


async def watch(address: str, sentences: list[str], width: int) -> Certainty:
    """Translates sentence by sentence, and looks at each message."""
    certainty = Certainty()
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_stream(
            PATH,
            request_serializer=TranslateRequest.SerializeToString,
            response_deserializer=TranslateResponse.FromString,
        )
        for sentence in sentences:
            request = TranslateRequest(model=MODEL)
            request.sources.add(text=sentence)
            request.options.beam_width = width
            told, certain = [], 0
            async for message in call(request):
                for update in message.updates:
                    certain += len(update.text)
                    told.append((certain, len(update.tail)))
            certainty.add(told)
    return certainty


def plot(rows: list[dict[str, float]]) -> None:
    """Draws BLEU, and sentences a second, against the width."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, left = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    widths = [row["width"] for row in rows]
    left.plot(widths, [row["bleu"] for row in rows], "o-", color="tab:blue")
    left.set(xscale="log", xlabel="beam width", ylabel="BLEU, test_2016")
    left.set_xticks(widths, labels=[str(round(width)) for width in widths])
    left.minorticks_off()
    right = left.twinx()
    right.plot(widths, [row["sentences_per_s"] for row in rows], "s--", color="tab:gray")
    right.set(ylabel="sentences a second", ylim=(0, None))
    figure.savefig(PLOT, dpi=130)


async def main() -> int:
    """Runs the command; the answer is its exit code."""
    wanted = captions()
    if not wanted.references:
        sys.stderr.write("this needs Multi30k: set STEPWIRE_DATA to the folder of the data\n")
        return 1
    with servers.running({servers.OURS: servers.ours(ROOT / "model_zoo" / "bundles")}) as (ours,):
        await translate_all(
            ours.address, MODEL, wanted.sentences[:64], clients=CLIENTS, beam_width=2
        )
        rows = [await measure(ours.address, wanted, width) for width in WIDTHS]
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[-1]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: f"{value:.4g}" for name, value in row.items()})
    plot(rows)
    print(TABLE.read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
