"""Korean text without tags: what taggers know words and characters from."""

import csv
import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from stepwire_training.data import everyday, nsmc
from stepwire_training.data.conllu import parse
from stepwire_training.data.fetch import Source

CHATS = Source(
    path="korean-chatbot/ChatbotData.csv",
    url="https://raw.githubusercontent.com/songys/Chatbot_data/master/ChatbotData.csv",
    sha256="287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2",
)
GSD = Source(
    path="ud-korean-gsd/ko_gsd-ud-train.conllu",
    url="https://raw.githubusercontent.com/UniversalDependencies/UD_Korean-GSD/r2.10/ko_gsd-ud-train.conllu",
    sha256="2ed449cf0a91283c526fab93e0cb89736eb4fecaa9d0ed7b45ecf4fb14e3faa0",
)


def reviews() -> list[str]:
    """Film reviews: those of the training file."""
    return [review.text for review in nsmc.parse(nsmc.TRAIN.read()) if review.text]


def chats() -> list[str]:
    """What people say to a chatbot, and its answers."""
    rows = list(csv.reader(io.StringIO(CHATS.read().decode())))[1:]
    return [text for row in rows for text in row[:2] if text]


def captions() -> list[str]:
    """Everyday sentences that were translated: the training part of KorSTS."""
    return list(dict.fromkeys(pair.target for pair in everyday.sts("train")))


def articles() -> list[str]:
    """Sentences of the web: those that the Google treebank trains with."""
    return [sentence.text for sentence in parse(GSD.read().decode())]


def without(texts: Sequence[str], hidden: Iterable[str]) -> list[str]:
    """The texts that hold none of some sentences; letters and digits alone are compared.

    Args:
        texts: any.
        hidden: sentences that must not be read.
    """
    marked = [_plain(text) for text in texts]
    joined = "\n".join(marked)
    ends = list(accumulate(len(text) + 1 for text in marked))
    dropped: set[int] = set()
    for sentence in filter(None, map(_plain, hidden)):
        at = joined.find(sentence)
        while at >= 0:
            holder = bisect_right(ends, at)
            dropped.add(holder)
            at = joined.find(sentence, ends[holder])
    return [text for index, text in enumerate(texts) if index not in dropped]


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text))
