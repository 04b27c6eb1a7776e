"""The values that a caller gives and gets.

Plain frozen data with no protobuf in it; `wire` alone turns them into messages and back.
What a server describes about a model is in `descriptions`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Prompt = str | Sequence[int]  # a text, or tokens of the model's own vocabulary


@dataclass(frozen=True)
class ResumeToken:
    """Where a sequence of an earlier call goes on; sealed by the server."""

    value: bytes


Start = Prompt | ResumeToken  # what a sequence goes on from
Features = Sequence[Sequence[float]]  # a row for each step


class FinishReason(StrEnum):
    """Which rule ended a sequence."""

    END_OF_SEQUENCE = "end_of_sequence"  # the model chose its end token
    LENGTH = "length"  # max_tokens was reached
    STOP = "stop"  # a stop text or stop token appeared
    UNKNOWN = "unknown"  # the server is newer than this client


class LengthNormalization(StrEnum):
    """What the score of a hypothesis is divided by."""

    PLAIN = "plain"  # length ** length_penalty
    GNMT = "gnmt"  # ((5 + length) / 6) ** length_penalty


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How the next token is chosen. None leaves it to the model's default.

    The server checks the ranges, which may depend on the model.
    """

    max_tokens: int | None = None  # most tokens to generate
    min_tokens: int | None = None  # no end and no stop token before this many
    temperature: float | None = None  # in [0, 2]; 0 is greedy
    top_k: int | None = None  # draw from the k likeliest; 0 is all
    top_p: float | None = None  # draw from the fewest that reach this probability, in (0, 1]
    min_p: float | None = None  # at least this fraction as likely as the likeliest, in [0, 1]
    repetition_penalty: float | None = None  # on tokens of prompt and output, in [0.01, 10]
    presence_penalty: float | None = None  # on every token generated so far, in [-2, 2]
    frequency_penalty: float | None = None  # the same, once for each occurrence
    no_repeat_ngram_size: int | None = None  # no sequence of this many tokens twice
    logit_bias: Mapping[int, float] = field(default_factory=dict)  # token to what is added
    stop: Sequence[str] = ()  # texts that end the sequence and are not part of it
    stop_token_ids: Sequence[int] = ()  # tokens that do the same
    seed: int | None = None  # the same seed gives the same tokens
    logprobs: int | None = None  # log-probabilities of this many likeliest tokens
    beam_width: int | None = None  # hypotheses that a search keeps; 1 is no search
    num_hypotheses: int | None = None  # how many of the best to give
    length_penalty: float | None = None  # a score is divided by length to this power
    length_normalization: LengthNormalization | None = None  # what length means there
    coverage_penalty: float | None = None  # weight of what was not looked at, in [0, 5]
    patience: float | None = None  # the search ends with this times beam_width complete
    suppress_tokens: Sequence[int] = ()  # never generated
    prefix_bias_beta: float | None = None  # makes a target prefix a wish, in [0, 1)
    # The server gives a resume token after every so many tokens; a stream that has them goes on
    # when the server is lost, and nobody notices.
    resume_every: int | None = None
    accept_inexact: bool = False  # whether it may go on where the last bits may differ

    def __post_init__(self) -> None:
        # A text is a sequence of texts too, and would stop at each of its characters.
        if isinstance(self.stop, str):
            raise TypeError(f"stop must be a sequence of texts, got the text {self.stop!r}")


MODEL_DEFAULTS = DecodingOptions()


@dataclass(frozen=True, kw_only=True)
class Translating:
    """What is wanted of translations, besides how their tokens are chosen."""

    target_prefixes: str | Sequence[Prompt | None] | None = None  # how each must, or should, begin
    replace_unknowns: bool = False  # put the source's own text where the model knows no word
    return_attention: bool = False  # where the model looked at each token
    return_alternatives: bool = False  # the likeliest first tokens, each continued greedily


AS_THEY_COME = Translating()


@dataclass(frozen=True, kw_only=True)
class TokenLogprob:
    """A token that could have been chosen, and how likely it was."""

    token_id: int
    text: str  # of the token by itself
    logprob: float  # natural logarithm


@dataclass(frozen=True, kw_only=True)
class TokenLogprobs:
    """The model's own log-probabilities at one position, before any option is applied."""

    logprob: float  # of the chosen token
    top: tuple[TokenLogprob, ...]  # likeliest first


@dataclass(frozen=True, kw_only=True)
class GenerationSummary:
    """Why a sequence ended and what it cost."""

    finish_reason: FinishReason
    prompt_tokens: int
    generated_tokens: int  # without the end or stop token
    seed: int  # that was used; with it the same request gives the same tokens
    queue_seconds: float  # from arrival to the first step
    first_token_seconds: float  # from arrival to the first generated token
    total_seconds: float  # from arrival to the last token
    prompt_tokens_forgotten: int = 0  # at its beginning, beyond the reach of the model


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One complete answer."""

    text: str
    score: float  # what hypotheses are ranked by; higher is better
    logprob: float  # sum over its tokens, after all options, the end included
    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprobs, ...]  # one for each token, if asked for
    finish_reason: FinishReason
    attention: tuple[tuple[float, ...], ...]  # one for each token, if asked for


@dataclass(frozen=True, kw_only=True)
class Piece:
    """New text of one sequence."""

    prompt_index: int  # which prompt of the call, from 0
    sample_index: int  # which of its n samples, from 0
    text: str  # never taken back; may lag behind token_ids
    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprobs, ...]  # one for each token, if asked for
    summary: GenerationSummary | None  # in the last piece of a sequence only
    tail: str = ""  # how a search would go on behind the text; replaces the tail before it
    hypotheses: tuple[Hypothesis, ...] = ()  # in the last piece of a search, best first
    resume_token: ResumeToken | None = None  # goes on right behind this; as asked for

    @property
    def is_last(self) -> bool:
        """Whether nothing more comes of its sequence."""
        return self.summary is not None


@dataclass(frozen=True, kw_only=True)
class TranslationSummary:
    """What one source cost."""

    source_tokens: int
    source_token_texts: tuple[str, ...]  # if the attention was asked for
    generated_tokens: int  # of the best hypothesis
    seed: int  # that was used
    source_cached: bool  # whether its encoding was still at hand
    queue_seconds: float  # from arrival to the first decoder step, encoding included
    first_token_seconds: float
    total_seconds: float


@dataclass(frozen=True, kw_only=True)
class TranslationUpdate:
    """What is new of one source."""

    source_index: int  # which source of the call, from 0
    text: str  # never taken back
    tail: str  # how it would go on now; replaces the tail before it
    hypotheses: tuple[Hypothesis, ...]  # in the last update of a source, best first
    summary: TranslationSummary | None  # in the last update of a source only
    resume_token: ResumeToken | None = None  # goes on right behind this; as asked for

    @property
    def is_last(self) -> bool:
        """Whether nothing more comes of its source."""
        return self.summary is not None


@dataclass(frozen=True, kw_only=True)
class Translation:
    """A source, translated."""

    hypotheses: tuple[Hypothesis, ...]  # best first
    summary: TranslationSummary

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].text


@dataclass(frozen=True, kw_only=True)
class TextScore:
    """How likely a model finds one text."""

    input_index: int  # which text of the call, from 0
    tokens: tuple[TokenLogprob, ...]  # with their log-probabilities, the end included
    logprob: float  # their sum
    perplexity: float

    @property
    def is_last(self) -> bool:
        """A text has one score."""
        return True


@dataclass(frozen=True, kw_only=True)
class ScoredLabel:
    """A label and how sure the model is."""

    label: str
    score: float  # a probability


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How a session is kept."""

    accept_inexact: bool = False  # take a token of other numerics, or of half precision
    max_snapshots: int = 0  # steps that `roll_back` may go back to
    checkpoint_steps: int = 64  # a state token every so many, to resume from; 0: none
    window: int = 1  # messages that `steps` may send ahead of their answers
    source: Prompt | None = None  # what a translator looks at while it is stepped
    follow_reloads: bool = False  # go on with what takes the model's place, if the state fits it


AS_USUAL = SessionOptions()


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What to tell of the steps of a session."""

    every_step: bool = False  # and not only of the last
    top_k: int = 0  # the likeliest tokens or labels
    logits: bool = False
    entropy: bool = False
    labels: bool = False
    values: bool = False  # predicted ones, with spread and surprise
    hidden_units: Sequence[int] = ()  # numbered through all layers
    attention: bool = False  # how a translator weighed the tokens of its source


@dataclass(frozen=True, kw_only=True)
class StepOutputs:
    """What one step gave, as far as it was asked for."""

    tokens: tuple[TokenLogprob, ...]  # likeliest first
    labels: tuple[ScoredLabel, ...]  # likeliest first
    logits: tuple[float, ...]
    entropy: float  # in nats
    values: tuple[float, ...]  # row by row, the next step first
    spread: tuple[float, ...]  # standard deviations of the values
    surprise: float  # negative log-likelihood of the input, in nats
    hidden: tuple[float, ...]
    attention: tuple[float, ...]  # see SessionInfo.source_token_texts


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """What some steps of a session gave."""

    first_step: int
    count: int
    outputs: tuple[StepOutputs, ...]  # of every step that was asked for
    state_token: bytes  # if it was asked for
    version: str = ""  # of the model that took them, in a session that follows reloads
    digest: str = ""  # of its build, likewise

    @property
    def last(self) -> StepOutputs:
        """What the last step gave."""
        return self.outputs[-1]


@dataclass(frozen=True, kw_only=True)
class SessionInfo:
    """How a session stands on its server."""

    id: str
    model: str
    version: str
    next_step: int
    snapshots: tuple[int, ...]
    window: int
    size_bytes: int
    idle_seconds_left: float
    lifetime_seconds_left: float
    inexact: bool
    source_token_texts: tuple[str, ...]  # of what a translator looks at
    digest: str = ""  # of the build that steps it now; see Model.digest
    follows_reloads: bool = False


@dataclass(frozen=True, kw_only=True)
class AttendedToken:
    """A token that was read, and how much of the attention it got."""

    text: str  # as it stands in the text, without white space at its ends
    start: int  # where it begins in the text, in code points
    end: int  # the place behind its last
    weight: float  # in [0, 1]; those of a text sum to 1


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The verdict on one text."""

    labels: tuple[ScoredLabel, ...]  # likeliest first
    token_count: int  # tokens that were read
    truncated: bool  # whether the text was cut to the model's limit
    tokens: tuple[AttendedToken, ...] = ()  # if the attention was asked for

    @property
    def label(self) -> str:
        """The likeliest label."""
        return self.labels[0].label

    @property
    def score(self) -> float:
        """The probability of the likeliest label."""
        return self.labels[0].score
