"""How a request wants its tokens chosen, and what a model allows."""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwire_server.errors import InvalidRequest, check_range

MAX_LOGPROBS = 20
MAX_STOP_CHARACTERS = 256
MOST_ENTRIES = {"stop": 16, "stop_token_ids": 64, "logit_bias": 1024, "suppress_tokens": 1024}
USUAL_TOKENS = 256  # generated where neither caller nor manifest says how many

# Options of which a manifest may set a default, and those that are whole numbers.
_DEFAULTED = frozenset(
    (
        *("max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty"),
        *("beam_width", "length_penalty"),
    )
)
_WHOLE = frozenset(("max_tokens", "top_k", "beam_width"))
_SAMPLING = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": ()}


class LengthNormalization(enum.Enum):
    """What the score of a hypothesis is divided by."""

    PLAIN = "plain"  # length ** length_penalty
    GNMT = "gnmt"  # ((5 + length) / 6) ** length_penalty, Wu et al. 2016, equation 14


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a model allows, from its manifest."""

    vocabulary_size: int
    max_input_tokens: int
    max_new_tokens: int
    max_beam_width: int = 1
    attends: bool = False  # whether it has attention to look at


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
    beam_width: int = 1  # 1 is no search
    num_hypotheses: int = 1
    length_penalty: float = 1.0
    length_normalization: LengthNormalization = LengthNormalization.PLAIN
    coverage_penalty: float = 0.0
    patience: float = 1.0
    suppress_tokens: tuple[int, ...] = ()
    prefix_bias_beta: float = 0.0  # 0 forces a prefix
    replace_unknowns: bool = False
    return_attention: bool = False
    return_alternatives: bool = False

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
        check_range("beam_width", self.beam_width, 1, math.inf)
        check_range("length_penalty", self.length_penalty, 0, 5)
        check_range("coverage_penalty", self.coverage_penalty, 0, 5)
        check_range("patience", self.patience, 0.1, 10)
        check_range("prefix_bias_beta", self.prefix_bias_beta, 0, 1, open_high=True)
        self._check_lists()
        self._check_search()

    def _check_search(self) -> None:
        """Refuses options that contradict each other."""
        if self.searches:
            check_range("num_hypotheses", self.num_hypotheses, 1, self.beam_width)
            for name, off in _SAMPLING.items():
                if getattr(self, name) != off:
                    raise InvalidRequest.of(
                        name, "not be given with a beam_width above 1", getattr(self, name)
                    )
            if self.return_alternatives:
                raise InvalidRequest.of(
                    "return_alternatives", "not be given with a beam_width above 1", True
                )
            return
        check_range("num_hypotheses", self.num_hypotheses, 1, math.inf)
        if self.return_alternatives and self.temperature:
            raise InvalidRequest.of(
                "temperature", "not be given with return_alternatives", self.temperature
            )
        if self.num_hypotheses > 1 and not (self.temperature or self.return_alternatives):
            raise InvalidRequest.of(
                "num_hypotheses",
                "be 1, or come with a beam_width, a temperature or return_alternatives",
                self.num_hypotheses,
            )

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
        check_range("beam_width", self.beam_width, 1, limits.max_beam_width)
        check_range("number of alternatives", self._alternatives, 1, limits.vocabulary_size)
        for name in ("stop_token_ids", "suppress_tokens"):
            for token in getattr(self, name):
                check_range(name, token, 0, limits.vocabulary_size - 1)
        for name in ("coverage_penalty", "return_attention", "replace_unknowns"):
            if getattr(self, name) and not limits.attends:
                raise InvalidRequest.of(name, "not be given: the model has no attention", True)
        for token in self.logit_bias:
            check_range("logit_bias key", token, 0, limits.vocabulary_size - 1)

    @property
    def searches(self) -> bool:
        """Whether a beam search chooses, instead of a draw."""
        return self.beam_width > 1

    @property
    def attends(self) -> bool:
        """Whether the attention of every step is wanted."""
        return self.return_attention or self.replace_unknowns or self.coverage_penalty > 0

    @property
    def edits(self) -> bool:
        """Whether the logits of each row are changed in a way of its own."""
        return bool(
            self.logit_bias
            or self.min_tokens
            or self.no_repeat_ngram_size
            or self.suppress_tokens
            or self.return_alternatives
        )

    @property
    def is_plain(self) -> bool:
        """Whether each step chooses a token, and there is nothing else to do or to tell."""
        tells = self.logprobs is not None or self.attends
        return not (tells or self.edits or self.stop_token_ids)

    @property
    def _alternatives(self) -> int:
        return self.num_hypotheses if self.return_alternatives else 1

    def length_norm(self, length: int) -> float:
        """What the log-probability of a hypothesis of this length is divided by."""
        if self.length_normalization is LengthNormalization.GNMT:
            return float(((5 + length) / 6) ** self.length_penalty)
        return float(length**self.length_penalty)

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


def filled_in(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a request asks for, and where it is silent the model's defaults.

    Defaults that would contradict what the request asks for are left out.
    """
    kept = dict(defaults)
    if given.get("beam_width", 1) > 1:
        for name in _SAMPLING:
            kept.pop(name, None)
    elif given.get("temperature") or given.get("return_alternatives"):
        kept.pop("beam_width", None)
    return {**kept, **given}
