"""How a request wants its tokens chosen, and what a model allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwire_server.errors import InvalidRequest, check_range

MAX_LOGPROBS = 20
MAX_STOP_CHARACTERS = 256
MOST_ENTRIES = {"stop": 16, "stop_token_ids": 64, "logit_bias": 1024}
USUAL_TOKENS = 256  # generated where neither caller nor manifest says how many

# Options of which a manifest may set a default, and those that are whole numbers.
_DEFAULTED = frozenset(
    ("max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty")
)
_WHOLE = frozenset(("max_tokens", "top_k"))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a model allows, from its manifest."""

    vocabulary_size: int
    max_input_tokens: int
    max_new_tokens: int


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to choose tokens. Checked when built; docs/decoding.md has the formulas."""

    max_tokens: int
    min_tokens: int = 0
    temperature: float = 0.0  # 0 is greedy
    top_k: int = 0  # 0 is all
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    no_repeat_ngram_size: int = 0  # 0 is off
    logit_bias: dict[int, float] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    seed: int = 0  # in [0, 2**64)
    logprobs: int | None = None  # None: none; 0: of the chosen token alone

    def __post_init__(self) -> None:
        check_range("temperature", self.temperature, 0, 2)
        check_range("top_p", self.top_p, 0, 1, open_low=True)
        check_range("min_p", self.min_p, 0, 1)
        # Dividing by less would carry logits beyond what float32 holds.
        check_range("repetition_penalty", self.repetition_penalty, 0.01, 10)
        check_range("presence_penalty", self.presence_penalty, -2, 2)
        check_range("frequency_penalty", self.frequency_penalty, -2, 2)
        check_range("no_repeat_ngram_size", self.no_repeat_ngram_size, 0, 64)
        check_range("logprobs", self.logprobs or 0, 0, MAX_LOGPROBS)
        self._check_lists()

    def _check_lists(self) -> None:
        for name, most in MOST_ENTRIES.items():
            check_range(f"number of {name}", len(getattr(self, name)), 0, most)
        for index, text in enumerate(self.stop):
            check_range(f"length of stop[{index}]", len(text), 1, MAX_STOP_CHARACTERS)
        for token, bias in self.logit_bias.items():
            check_range(f"logit_bias[{token}]", bias, -100, 100)

    def check_against(self, limits: Limits) -> None:
        """Raises InvalidRequest where the model cannot do what is asked."""
        check_range("max_tokens", self.max_tokens, 1, limits.max_new_tokens)
        check_range("min_tokens", self.min_tokens, 0, self.max_tokens)
        check_range("top_k", self.top_k, 0, limits.vocabulary_size)
        for token in self.stop_token_ids:
            check_range("stop_token_ids", token, 0, limits.vocabulary_size - 1)
        for token in self.logit_bias:
            check_range("logit_bias key", token, 0, limits.vocabulary_size - 1)

    @property
    def penalises(self) -> bool:
        """Whether tokens seen before weigh less."""
        return (self.repetition_penalty, self.presence_penalty, self.frequency_penalty) != (1, 0, 0)


def defaults(limits: Limits, manifest: Mapping[str, float]) -> dict[str, Any]:
    """What a request that says nothing gets: the manifest's word, and where it is silent ours.

    Args:
        limits: of the model.
        manifest: default options by name.

    Returns:
        Arguments of Options, which does the rest.

    Raises:
        InvalidRequest: the manifest names an option that has no default, or a value that
            the model itself would refuse.
    """
    unknown = sorted(manifest.keys() - _DEFAULTED)
    if unknown:
        raise InvalidRequest.of("option", f"be one of {', '.join(sorted(_DEFAULTED))}", unknown[0])
    values: dict[str, Any] = {name: int(v) if name in _WHOLE else v for name, v in manifest.items()}
    values.setdefault("max_tokens", min(limits.max_new_tokens, USUAL_TOKENS))
    Options(**values).check_against(limits)
    return values
