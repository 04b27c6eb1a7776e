"""Builds the tokenizer files that bundles carry.

A tokenizer is trained here and read everywhere else, so whatever shapes the text (Hangul
taken apart into jamo, for one) is written into the file itself.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

# How text is written: Hangul whole, or taken apart by NFD; or letters without their case.
Units = Literal["syllables", "jamo", "letters"]

UNKNOWN = "<unk>"
BEGIN, END = "<s>", "</s>"  # of what a translator writes
SPACE = "\u2581"  # stands for a space inside BPE tokens
ALPHABET = 2_000  # characters that BPE grows from; the others are unknown


def characters(text: str) -> Tokenizer:
    """One token a character, in sorted order, and the unknown last.

    Decoding gives the text back exactly, spaces and line ends included.
    """
    return _one_a_character(sorted(set(text)))


def frequent_characters(texts: Sequence[str], units: Units, at_least: int) -> Tokenizer:
    """One token a character; those seen less than `at_least` times are unknown."""
    normalizer = _normalizer(units)
    counts = Counter(char for text in texts for char in normalizer.normalize_str(text))
    tokenizer = _one_a_character(sorted(c for c, seen in counts.items() if seen >= at_least))
    tokenizer.normalizer = normalizer
    return tokenizer


def byte_pairs(
    texts: Sequence[str], units: Units, vocabulary: int, *, apart: bool = False
) -> Tokenizer:
    """Pieces of words, grown from characters by merging the most frequent pairs.

    Args:
        texts: what they grow from.
        units: how Hangul is written.
        vocabulary: how many there are, the unknown left out.
        apart: keep punctuation apart from words.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = _normalizer(units)
    words = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    punctuation = pre_tokenizers.Punctuation("isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, punctuation]) if apart else words
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    # The trainer's own choice among equally rare characters changes from run to run.
    alphabet = _most_frequent(texts, tokenizer.normalizer, ALPHABET)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return with_specials(tokenizer, UNKNOWN)


def _most_frequent(
    texts: Sequence[str], normalizer: normalizers.Normalizer, limit: int
) -> list[str]:
    """The commonest characters and the mark of a space; of equals the lower code point."""
    counts = Counter(char for text in texts for char in normalizer.normalize_str(text))
    counts.pop(" ", None)
    return [SPACE, *sorted(counts, key=lambda char: (-counts[char], char))[: limit - 1]]


def _normalizer(units: Units) -> normalizers.Normalizer:
    form = normalizers.NFD() if units == "jamo" else normalizers.NFC()
    cases = [normalizers.Lowercase()] if units == "letters" else []
    return normalizers.Sequence([form, *cases, normalizers.Strip()])


def _one_a_character(alphabet: list[str]) -> Tokenizer:
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    vocabulary[UNKNOWN] = len(vocabulary)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def with_specials(tokenizer: Tokenizer, *specials: str) -> Tokenizer:
    """Gives special tokens their places at the end of the vocabulary.

    No merge leads to them, so no text does: who writes "</s>" means four characters.
    """
    content = json.loads(tokenizer.to_str())
    for special in specials:
        content["model"]["vocab"][special] = len(content["model"]["vocab"])
    content["model"]["unk_token"] = UNKNOWN
    return Tokenizer.from_str(json.dumps(content))


def id_of(tokenizer: Tokenizer, token: str) -> int:
    """The number of a token that is there."""
    number = tokenizer.token_to_id(token)
    assert number is not None, token
    return int(number)
