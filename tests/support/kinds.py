"""Tokenizers whose tokens are smaller than a character, or larger than one."""

import unicodedata

import tokenizers

from stepwire_server.registry.text import Tokenizer
from stepwire_zoo import manifest

SAMPLES = [
    "안녕하세요 세계",
    "naïve café — 100 €",
    "한글과 English",
    "👩‍👩‍👧 emoji 🇰🇷",
    "각 간 같 깎",
]


def trained(normalizer, model, pre_tokenizer, decoder):
    """A tokenizer whose tokens are smaller than a character."""
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<unk>"],
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(SAMPLES, trainer)
    spec = manifest.Tokenizer(
        file="tokenizer.json", vocabulary_size=tokenizer.get_vocab_size(), unknown=0
    )
    return Tokenizer(tokenizer.to_str().encode(), spec, 10_000)


def bytes_of_characters():
    return trained(
        tokenizers.normalizers.NFC(),
        tokenizers.models.BPE(),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        tokenizers.decoders.ByteLevel(),
    )


def jamo():
    """Hangul in its letters, one token each, as NFD gives them."""
    alphabet = sorted({letter for text in SAMPLES for letter in unicodedata.normalize("NFD", text)})
    vocabulary = {"<unk>": 0} | {letter: 1 + index for index, letter in enumerate(alphabet)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = tokenizers.normalizers.NFD()
    each = tokenizers.Regex(r"[\s\S]")
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(each, "isolated")
    tokenizer.decoder = tokenizers.decoders.Fuse()
    spec = manifest.Tokenizer(file="tokenizer.json", vocabulary_size=len(vocabulary), unknown=0)
    return Tokenizer(tokenizer.to_str().encode(), spec, 10_000)


def words():
    return trained(
        tokenizers.normalizers.NFC(),
        tokenizers.models.BPE(unk_token="<unk>"),
        tokenizers.pre_tokenizers.Metaspace(),
        tokenizers.decoders.Metaspace(),
    )


KINDS = {"bytes": bytes_of_characters(), "jamo": jamo(), "words": words()}
