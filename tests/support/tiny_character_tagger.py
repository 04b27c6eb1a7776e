"""The tiny tagger with characters for words: spaces are among them."""

from dataclasses import replace

import numpy as np
import tokenizers

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Tensor, Tokenizer
from support.tiny_tagger import BUCKETS, LETTERS, TinyTagger, letter_tokenizer, tagging_manifest

CHARACTERS = ("<unk>", "서", "울", " ", "간", "다", ".")


def logits(characters):
    """Those of the characters of a text, [T, L]."""
    numbers = [CHARACTERS.index(each) if each in CHARACTERS else 0 for each in characters]
    unknown = len(LETTERS) - 1
    letters = [[LETTERS.index(each) if each in LETTERS else unknown] for each in characters]
    return TinyTagger().run(np.array([numbers]), np.array([letters]))[0]


def write_character_tagger(repository, name="letters"):
    """Publishes a tiny tagger of characters; returns its folder."""
    tagger, rng = TinyTagger(), np.random.default_rng(2)
    manifest = tagging_manifest(name)
    graph = manifest.graphs["sequence"]
    tokens, _, lengths = graph.inputs
    read = Tensor(name="characters", dtype="int64", shape=(-1, 1), role="characters")
    manifest = replace(
        manifest,
        graphs={"sequence": replace(graph, inputs=(tokens, read, lengths))},
        tokenizer=Tokenizer(file="tokenizer.json", vocabulary_size=len(CHARACTERS), unknown=0),
    )
    some = rng.integers(0, len(CHARACTERS), size=(3, BUCKETS[-1]))
    letters = rng.integers(0, len(LETTERS), size=(3, BUCKETS[-1], 1))
    case = GoldenCase(
        {"tokens": some, "characters": letters, "lengths": np.array([3, 7, 16])},
        {"logits": tagger.run(some, letters)},
    )
    files = {
        "sequence.onnx": tagger.graph(width=1),
        "tokenizer.json": character_tokenizer(),
        "characters.json": letter_tokenizer(),
        "golden.npz": pack({"sequence": case}),
    }
    folder = repository / name / "1"
    write_bundle(folder, manifest, files)
    return folder


def character_tokenizer():
    """Every character is a token, white space too."""
    vocabulary = {character: number for number, character in enumerate(CHARACTERS)}
    model = tokenizers.models.WordLevel(vocabulary, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(
        tokenizers.Regex(r"[\s\S]"), "isolated"
    )
    return tokenizer.to_str().encode()
