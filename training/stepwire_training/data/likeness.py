"""What word vectors are measured on: how alike people find words, and analogies."""

from dataclasses import dataclass, field
from typing import NamedTuple

from stepwire_training.data.fetch import Source

GENSIM = "https://raw.githubusercontent.com/piskvorky/gensim/develop/gensim/test/test_data/"
KOREAN = "https://raw.githubusercontent.com/dongjun-Lee/kor2vec/master/test_dataset/"
WORDSIM = Source(
    path="word-similarity/wordsim353.tsv",
    url=f"{GENSIM}wordsim353.tsv",
    sha256="f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d",
)
SIMLEX = Source(
    path="word-similarity/simlex999.txt",
    url=f"{GENSIM}simlex999.txt",
    sha256="d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d",
)
QUESTIONS = Source(
    path="word-similarity/questions-words.txt",
    url="https://raw.githubusercontent.com/tmikolov/word2vec/master/questions-words.txt",
    sha256="8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
)
KOREAN_WORDSIM = Source(
    path="word-similarity/kor_ws353.csv",
    url=f"{KOREAN}kor_ws353.csv",
    sha256="a1cb9f176d8fdef8aa05b424b993579b24480c310287c61315e34423c6521ecc",
)
KOREAN_SEMANTIC = Source(
    path="word-similarity/kor_analogy_semantic.txt",
    url=f"{KOREAN}kor_analogy_semantic.txt",
    sha256="4be939f206762d89aa14d8de480de1aa8b63a70616506e61b1f408b5b8df5582",
)
KOREAN_SYNTACTIC = Source(
    path="word-similarity/kor_analogy_syntactic.txt",
    url=f"{KOREAN}kor_analogy_syntactic.txt",
    sha256="17748144de2a3f287f8ceef603ffe869b7ba88524914a12e18b22f9e608e7d2f",
)


class Likeness(NamedTuple):
    """Two words, and how alike people find them."""

    first: str
    second: str
    score: float


class Question(NamedTuple):
    """Four words: the second is to the first as the fourth is to the third."""

    first: str
    second: str
    third: str
    fourth: str


@dataclass(frozen=True, kw_only=True)
class Tests:
    """Everything that vectors of a language are measured on, by the names of the sets."""

    pairs: dict[str, list[Likeness]] = field(default_factory=dict)
    questions: dict[str, list[Question]] = field(default_factory=dict)


def english() -> Tests:
    """WordSim-353, SimLex-999 and the analogies of word2vec."""
    return Tests(
        pairs={"WordSim-353": pairs(WORDSIM, "\t"), "SimLex-999": pairs(SIMLEX, "\t")},
        questions={"questions-words": questions(QUESTIONS)},
    )


def korean() -> Tests:
    """WordSim-353 translated, and the analogies that came with kor2vec."""
    return Tests(
        pairs={"kor_ws353": pairs(KOREAN_WORDSIM, ",")},
        questions={
            "kor_analogy_semantic": questions(KOREAN_SEMANTIC),
            "kor_analogy_syntactic": questions(KOREAN_SYNTACTIC),
        },
    )


def pairs(source: Source, separator: str) -> list[Likeness]:
    """Two words and a score a line; what begins with # says something about the file."""
    lines = source.read().decode("utf-8-sig").splitlines()
    fields = [line.split(separator) for line in lines if line.strip() and line[0] != "#"]
    return [Likeness(one.strip(), other.strip(), float(score)) for one, other, score in fields]


def questions(source: Source) -> list[Question]:
    """Four words a line; what begins with : or # is a heading."""
    lines = source.read().decode("utf-8-sig").splitlines()
    return [Question(*line.split()) for line in lines if line.strip() and line[0] not in ":#"]
