"""Translates held-out sentences greedily while a model is trained, and measures BLEU.

B rows, S positions of the source, V tokens.
"""

import math
from collections.abc import Sequence

import numpy as np
import sacrebleu
import torch
from torch import Tensor

from stepwire_training.data.batches import Translations
from stepwire_training.data.parallel import encode, padded
from stepwire_training.models.encoder_decoder import EncoderDecoder
from stepwire_training.models.network import Network

ROWS = 128
LONGEST = 100  # tokens of a translation


def greedy_bleu(model: Network, held_out: Translations, bf16: bool = False) -> float:
    """BLEU of greedy translations of the dev split, detokenised and cased."""
    assert isinstance(model, EncoderDecoder)
    was_training = model.training
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        texts = greedy(model, [pair.source for pair in held_out.dev], held_out)
    model.train(was_training)
    references = [[pair.target for pair in held_out.dev]]
    return float(sacrebleu.corpus_bleu(texts, references, tokenize=held_out.cut).score)


def greedy(model: EncoderDecoder, sources: Sequence[str], held_out: Translations) -> list[str]:
    """Translates sentences, always by the likeliest token."""
    ids = encode(sources, held_out.source_tokenizer)
    order = np.argsort([len(row) for row in ids], kind="stable")
    texts = [""] * len(ids)
    for first in range(0, len(order), ROWS):
        chosen = order[first : first + ROWS]
        written = _greedy_batch(model, *padded([ids[row] for row in chosen]), held_out)
        for row, tokens in zip(chosen, written, strict=True):
            texts[row] = held_out.tokenizer.decode(tokens, skip_special_tokens=False)
    return texts


def _greedy_batch(
    model: EncoderDecoder, sources: Tensor, lengths: Tensor, held_out: Translations
) -> list[list[int]]:
    """Tokens of translations of sources [B, S], the end left out."""
    read = model.read(sources, lengths)
    state = model.begin(read)
    tokens = torch.full((len(sources), 1), held_out.begin)
    written: list[Tensor] = []
    done = torch.zeros(len(sources), dtype=torch.bool)
    while not done.all() and len(written) < LONGEST:
        logits, _, state = model.write(tokens, read, state)
        logits[:, :, list(held_out.suppressed)] = -math.inf
        tokens = logits[:, -1:].argmax(dim=-1)
        done |= tokens[:, 0] == held_out.end
        written.append(tokens)
    rows = torch.cat(written, dim=1).tolist()
    return [row[: row.index(held_out.end)] if held_out.end in row else row for row in rows]
