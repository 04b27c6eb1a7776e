"""The words that vectors are compared on: how alike people find two, and analogies."""

from typing import NamedTuple

from stepwire.cli.evaluation.files import File

WORDSIM = File(
    path="word-similarity/wordsim353.tsv",
    sha256="f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d",
)
SIMLEX = File(
    path="word-similarity/simlex999.txt",
    sha256="d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d",
)
QUESTIONS = File(
    path="word-similarity/questions-words.txt",
    sha256="8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
)
KOREAN_WORDSIM = File(
    path="word-similarity/kor_ws353.csv",
    sha256="a1cb9f176d8fdef8aa05b424b993579b24480c310287c61315e34423c6521ecc",
)
KOREAN_SEMANTIC = File(
    path="word-similarity/kor_analogy_semantic.txt",
    sha256="4be939f206762d89aa14d8de480de1aa8b63a70616506e61b1f408b5b8df5582",
)
KOREAN_SYNTACTIC = File(
    path="word-similarity/kor_analogy_syntactic.txt",
    sha256="17748144de2a3f287f8ceef603ffe869b7ba88524914a12e18b22f9e608e7d2f",
)


class Likeness(NamedTuple):
    """Two words, and how alike people find them."""

    first: str
    second: str
    score: float


class Four(NamedTuple):
    """Words of an analogy: the second is to the first as the fourth is to the third."""

    first: str
    second: str
    third: str
    fourth: str


def wordsim() -> list[Likeness]:
    """WordSim-353."""
    return _likenesses(WORDSIM, "\t")


def simlex() -> list[Likeness]:
    """SimLex-999."""
    return _likenesses(SIMLEX, "\t")


def korean_wordsim() -> list[Likeness]:
    """WordSim-353, translated."""
    return _likenesses(KOREAN_WORDSIM, ",")


def questions() -> list[Four]:
    """The analogies of word2vec."""
    return _fours(QUESTIONS)


def korean_semantic() -> list[Four]:
    """Capitals, men and women."""
    return _fours(KOREAN_SEMANTIC)


def korean_syntactic() -> list[Four]:
    """Words with particles and endings."""
    return _fours(KOREAN_SYNTACTIC)


def _likenesses(file: File, separator: str) -> list[Likeness]:
    """Two words and a score a line; what begins with # says something about the file."""
    fields = [line.split(separator) for line in _lines(file) if line[0] != "#"]
    return [Likeness(one.strip(), other.strip(), float(score)) for one, other, score in fields]


def _fours(file: File) -> list[Four]:
    """Four words a line; what begins with : or # is a heading."""
    return [Four(*line.split()) for line in _lines(file) if line[0] not in ":#"]


def _lines(file: File) -> list[str]:
    lines = file.read().decode("utf-8-sig").splitlines()
    return [line for line in lines if line.strip()]
