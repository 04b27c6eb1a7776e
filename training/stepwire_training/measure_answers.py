"""The figures of a model whose sources have many good answers: how likely it finds those given.

BLEU would ask whether it says the very words of one of them.
"""

import math
from dataclasses import replace

from stepwire_training.data.batches import Translations
from stepwire_training.data.parallel import EVALUATION_ROWS, PairTexts, Tokenizers
from stepwire_training.evaluate import evaluate
from stepwire_training.models.network import Network
from stepwire_zoo.manifest import Metric

PERPLEXITY = "perplexity"
BY_CHARACTERS = "perplexity by characters"  # the same for whatever tokens a text is cut into


def measure_answers(model: Network, held_out: Translations, published: str) -> tuple[Metric, ...]:
    """Perplexities of the test splits, the end of each answer counted as a token.

    That of the first split is told by characters as well, of which an end is one.
    """
    both = Tokenizers(held_out.source_tokenizer, held_out.tokenizer)
    metrics = []
    for name, pairs in held_out.tests.items():
        batches = PairTexts(pairs, both, EVALUATION_ROWS)
        loss = evaluate(model, batches).loss
        metrics.append(_perplexity(PERPLEXITY, loss, "per token", name))
        if len(metrics) == 1:
            tokens = sum(len(target) + 1 for _, target in batches.pairs)
            characters = sum(len(pair.target) + 1 for pair in pairs)
            metrics[0] = replace(metrics[0], published=published)
            metrics.append(
                _perplexity(BY_CHARACTERS, loss * tokens / characters, "per character", name)
            )
    return tuple(metrics)


def _perplexity(name: str, nats: float, unit: str, split: str) -> Metric:
    return Metric(name=name, value=math.exp(nats), unit=unit, split=split)
