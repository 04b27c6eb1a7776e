"""A language model that remembers what it read lately, word by word.

Beside its state it carries, for each of the last W words, what it said before that word came: a
key. What it says now is compared with the keys, and words that came where it said much the same
become likelier. After Grave, Joulin and Usunier (2017, "Improving neural language models with a
continuous cache"); but a key is not all the last layer says, only its part in the D directions in
which that differs most, so that the state of a session stays small:

    p(w) = (1 - share) p_model(w) + share * sum_i softmax_i(sharpness * key_i . key) [word_i = w]

No step of training knows of it: directions, sharpness and share are chosen on validation text
once the weights are (see `settle`).

B rows, T positions, H values of what the last layer says, V words.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from stepwire_training.data.batches import Batches, Shard
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.network import Network, State

KEYS, WORDS = "keys", "words"  # the parts of the state, after those of the model
FAR_BELOW = -1e9  # a score whose share is 0
SHARPNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # tried
SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # tried
TRIED_AT_ONCE = 512  # positions


class Lately(NamedTuple):
    """What a cache holds, the oldest first."""

    keys: Tensor  # [B, W, D]
    words: Tensor  # [B, W], each plus 1; 0 is none yet


class CachedLanguageModel(Network):
    """Reads words and gives the logarithm of the probability of each that may come next."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """The model, and how much it remembers beside its state."""

        model: LanguageModel.Config
        window: int  # W
        directions: int  # D

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"{self.model.architecture}, a cache of the last {self.window} words"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "CachedLanguageModel":
            """A model with fresh weights, and a cache that no word listens to yet."""
            return CachedLanguageModel(self, self.model.build(vocabulary, labels, sources))

    directions: Tensor  # [H, D]
    sharpness: Tensor  # []
    share: Tensor  # []

    def __init__(self, config: Config, model: LanguageModel) -> None:
        super().__init__()
        if model.words is None:
            raise ValueError("a cache needs a model that gives logarithms of probabilities: cuts")
        self.config = config
        self.model = model
        self.register_buffer("directions", torch.zeros(config.model.hidden, config.directions))
        self.register_buffer("sharpness", torch.tensor(0.0))
        self.register_buffer("share", torch.tensor(0.0))

    def start(self, rows: int) -> State:
        """The state of the model before any word, and nothing read lately."""
        keys = torch.zeros(rows, self.config.window, self.config.directions)
        words = torch.zeros(rows, self.config.window, dtype=torch.int64)
        return (*self.model.start(rows), keys, words)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores every next word.

        Args:
            tokens: int64 [B, T].
            state: of the model, and what was read lately.

        Returns:
            Logarithms of probabilities [B, T, V], and the state after the last word. Until the
            cache is settled it is the model alone that answers.
        """
        *carried, keys, words = state
        if not self.share:
            outputs, after = self.model(tokens, tuple(carried))
            return outputs, (*after, keys, words)
        x, after = self.model.read(tokens, tuple(carried))
        key = x @ self.directions  # [B, T, D]
        shares, came, lately = remembered(Lately(keys, words), key, tokens, self.sharpness)
        scores = mixed(self.model.scores(x), shares * self.share, came)
        return scores, (*after, *lately)

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean nats of the targets, of the model alone."""
        return self.model.loss(outputs, targets, smoothing)

    def settle(self, text: Batches) -> None:
        """Chooses directions, sharpness and share by how likely they make a text."""
        read = read_along(self.model, text)
        self.directions.copy_(directions_of(read.told, self.config.directions))
        keys = read.told @ self.directions
        best = best_settings(read, keys, self.config.window)
        self.sharpness.fill_(best.sharpness)
        self.share.fill_(best.share)


class Read(NamedTuple):
    """A text, and what the model says along it."""

    told: Tensor  # of the last layer, [B, T, H]
    words: Tensor  # that were read, [B, T]
    wanted: Tensor  # that came next, [B, T]
    scores: Tensor  # the logarithms of their probabilities, [B, T]


class Settings(NamedTuple):
    """What was tried."""

    nats: float  # mean of the wanted words
    share: float
    sharpness: float


def read_along(model: LanguageModel, text: Batches) -> Read:
    """What a model says along a text."""
    parts: list[Read] = []
    state: State = ()
    with torch.inference_mode():
        for step in range(len(text)):
            (tokens,), targets, fresh = text.batch(step, Shard())
            state = model.start(len(targets)) if fresh else state
            x, state = model.read(tokens, state)
            scores = model.scores(x).gather(2, targets.unsqueeze(2)).squeeze(2)
            parts.append(Read(x, tokens, targets, scores))
    return Read(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))


def directions_of(told: Tensor, count: int) -> Tensor:
    """Those in which what is told, [B, T, H], differs most: [H, D]."""
    _, directions = torch.linalg.eigh(torch.cov(told.flatten(0, 1).T))  # variance rising
    return directions.flip(1)[:, :count]


def best_settings(read: Read, keys: Tensor, window: int) -> Settings:
    """How sharply to compare keys [B, T, D], and how much to listen."""

    def best_share(sharpness: float) -> Settings:
        cached = given(read, keys, window, sharpness)
        nats = [nats_of(read, cached, share) for share in SHARES]
        return Settings(*min(zip(nats, SHARES, strict=True)), sharpness)

    return min(map(best_share, SHARPNESS))


def given(read: Read, keys: Tensor, window: int, sharpness: float) -> Tensor:
    """What a cache gives each word that came next, [B, T]."""
    rows, positions, size = keys.shape
    lately = Lately(torch.zeros(rows, window, size), torch.zeros(rows, window, dtype=torch.int64))
    parts = []
    for first in range(0, positions, TRIED_AT_ONCE):
        part = slice(first, first + TRIED_AT_ONCE)
        shares, came, lately = remembered(lately, keys[:, part], read.words[:, part], sharpness)
        parts.append((shares * (came == read.wanted[:, part, None])).sum(dim=2))
    return torch.cat(parts, dim=1)


def nats_of(read: Read, cached: Tensor, share: float) -> float:
    """Mean nats of the words that came next, where a share goes to what a cache gives, [B, T]."""
    return -((1 - share) * read.scores.exp() + share * cached).log().mean().item()


def remembered(
    lately: Lately, keys: Tensor, tokens: Tensor, sharpness: Tensor | float
) -> tuple[Tensor, Tensor, Lately]:
    """Which words came where much the same was said.

    Args:
        lately: before the first of the tokens.
        keys: of what is said after each token, [B, T, D].
        tokens: int64 [B, T].
        sharpness: of the comparison.

    Returns:
        Shares [B, T, W] that add up to 1 where anything is remembered, the words they are of, and
        what is held after the last token.
    """
    window, positions = lately.keys.shape[1], tokens.shape[1]
    places = torch.arange(positions).unsqueeze(1) + torch.arange(window)  # [T, W]
    held = torch.cat([lately.keys, keys], dim=1)  # [B, W + T, D]
    words = torch.cat([lately.words, tokens + 1], dim=1)  # [B, W + T]
    alike = sharpness * keys @ held.transpose(1, 2)  # [B, T, W + T]
    alike = alike.gather(2, places.expand(len(tokens), -1, -1))
    known = words[:, places] > 0
    shares = alike.masked_fill(~known, FAR_BELOW).softmax(dim=2) * known
    # A key is of what was said before its word, which is the one that was read next.
    came = (words[:, places + 1] - 1).clamp(min=0)
    return shares, came, Lately(held[:, -window:], words[:, -window:])


def mixed(scores: Tensor, shares: Tensor, words: Tensor) -> Tensor:
    """Logarithms of probabilities [B, T, V], some of which goes to words that came lately.

    Args:
        scores: logarithms of probabilities without them, [B, T, V].
        shares: what goes to each, [B, T, W].
        words: which they are, [B, T, W].
    """
    cached = torch.zeros_like(scores).scatter_add(2, words, shares)
    left = 1 - shares.sum(dim=2, keepdim=True)
    return torch.logaddexp(scores + left.log(), cached.log())
