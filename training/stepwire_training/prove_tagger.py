"""Proves a tagger's graph (see parity), and makes its golden case.

N rows, T positions, C characters of a word, L labels of words, K of sentences.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from stepwire_training import parity
from stepwire_training.data.batches import Dataset, Shard
from stepwire_training.data.splitting import Ids
from stepwire_training.graphs.tagging import tagging_graph
from stepwire_training.models.chain_tagger import ChainTagger
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_training.models.network import Network
from stepwire_training.models.tagger import Tagger
from stepwire_training.proved import GOLDEN, Proved
from stepwire_training.recipe import Recipe
from stepwire_zoo.golden import Arrays, GoldenCase
from stepwire_zoo.manifest import Chain, Graph, Tensor

GOLDEN_ROWS = 7


class Text(NamedTuple):
    """A sentence as a tagger reads it."""

    tokens: Ids  # [T]
    characters: Ids  # [T, C]


def prove_tagger(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """A sequence graph with characters, on sentences the model did not learn from.

    Raises:
        ParityError: the graph does not compute what the model computes.
    """
    assert isinstance(model, Tagger)
    buckets = recipe.publication.buckets
    texts = golden_sentences(dataset)
    width = texts[0].characters.shape[1]
    content = tagging_graph(model, width)
    longest = max(len(text.tokens) for text in texts)
    positions = min(size for size in buckets if size >= longest)
    graph = Graph(
        file="sequence.onnx",
        inputs=(
            Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
            Tensor(name="characters", dtype="int64", shape=(-1, width), role="characters"),
            Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
        ),
        outputs=outputs_of(model),
        buckets=buckets,
    )
    return Proved(
        graphs={"sequence": graph},
        contents={"sequence": content},
        cases={"sequence": case_of(model, texts, positions)},
        difference=prove(content, model, texts, buckets),
    )


def outputs_of(model: Tagger) -> tuple[Tensor, ...]:
    """What a graph says of every word, and perhaps of the whole sentence."""
    labels = model.output.out_features
    words = Tensor(name="logits", dtype="float32", shape=(-1, labels), role="logits")
    if not isinstance(model, JointTagger):
        return (words,)
    whole = (model.text_output.out_features,)
    return (words, Tensor(name="text_logits", dtype="float32", shape=whole, role="text_logits"))


def chain_of(model: ChainTagger) -> Chain:
    """What the manifest says of how tags go together."""
    chain = model.chain
    return Chain(
        starts=tuple(chain.starts.tolist()),
        steps=tuple(tuple(row) for row in chain.steps.tolist()),
        ends=tuple(chain.ends.tolist()),
    )


def golden_sentences(dataset: Dataset) -> list[Text]:
    """Some sentences of the validation split, of several lengths."""
    places = np.linspace(0, len(dataset.dev) - 1, num=GOLDEN_ROWS).astype(int)
    batches = [dataset.dev.batch(int(place), Shard()).inputs for place in places]
    return [
        Text(tokens[0, : lengths[0]].numpy(), characters[0, : lengths[0]].numpy())
        for tokens, characters, lengths in batches
    ]


def prove(content: bytes, model: Tagger, texts: Sequence[Text], buckets: Sequence[int]) -> float:
    """Proves a graph at every padded length; the answer is the largest difference.

    Raises:
        ParityError: padding changes a row, the graph does not equal PyTorch, or a row
            depends on its neighbours.
    """
    opened = parity.session(content)
    differences = []
    for positions in buckets:
        # Cut and repeated texts fill every bucket, from a single word to its very end.
        lengths = np.unique(np.linspace(1, positions, num=len(texts)).astype(int))
        fitted = [_resized(text, n) for text, n in zip(texts, lengths, strict=False)]
        case = case_of(model, fitted, positions)
        got = parity.run(opened, case.inputs)
        inside = np.arange(positions) < case.inputs["lengths"][:, None]  # [N, T]
        got["logits"] = got["logits"] * inside[:, :, None]
        for name, wanted in case.outputs.items():
            parity.compare(f"{name} of the graph at length {positions}", got[name], wanted, GOLDEN)
            differences.append(float(np.abs(got[name] - wanted).max()))
        parity.prove_rows_stand_alone(opened, case.inputs)
    return max(differences)


def case_of(model: Tagger, texts: Sequence[Text], positions: int) -> GoldenCase:
    """What PyTorch answers to each text alone, zeros behind it; padded to [N, positions]."""
    inputs = {
        "tokens": _padded([text.tokens for text in texts], positions),
        "characters": _padded([text.characters for text in texts], positions),
        "lengths": np.array([len(text.tokens) for text in texts]),
    }
    alone = [_alone(model, text) for text in texts]
    outputs = {"logits": _padded([each["logits"] for each in alone], positions)}
    if isinstance(model, JointTagger):
        outputs["text_logits"] = np.stack([each["text_logits"] for each in alone])
    return GoldenCase(inputs, outputs)


def _alone(model: Tagger, text: Text) -> Arrays:
    """What PyTorch answers to one text: logits [T, L], and perhaps text_logits [K]."""
    tokens, characters = (torch.from_numpy(part)[None] for part in text)
    with torch.inference_mode():
        scores, _ = model(tokens, characters, torch.tensor([len(text.tokens)]), ())
    every = scores if isinstance(scores, tuple) else (scores,)
    names = ("logits", "text_logits")
    return {name: each[0].numpy() for name, each in zip(names, every, strict=False)}


def _resized(text: Text, length: int) -> Text:
    """A text cut to a length, or repeated up to it."""
    places = np.arange(length) % len(text.tokens)
    return Text(text.tokens[places], text.characters[places])


def _padded(parts: Sequence[NDArray[np.generic]], positions: int) -> NDArray[np.generic]:
    """Arrays [T, ...] as rows of one, zeros behind each."""
    result = np.zeros((len(parts), positions, *parts[0].shape[1:]), parts[0].dtype)
    for row, part in zip(result, parts, strict=True):
        row[: len(part)] = part
    return result
