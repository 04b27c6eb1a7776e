"""Between the messages of `Generate` and `Score` and the domain's values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepwire.v1 import generation_pb2
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import MOST_ENTRIES, LengthNormalization, Options, filled_in
from stepwire_server.engine.job import FinishReason
from stepwire_server.errors import InvalidRequest, check_range
from stepwire_server.registry.generation import GenerationModel, Piece, Summary, fresh_seed
from stepwire_server.registry.saved import Saved
from stepwire_server.registry.scoring import Score, ScoreInput, ScoringModel
from stepwire_server.registry.sequences import Answer
from stepwire_server.registry.text import Prompt

FINISH_REASONS = {
    FinishReason.END_OF_SEQUENCE: generation_pb2.FINISH_REASON_END_OF_SEQUENCE,
    FinishReason.LENGTH: generation_pb2.FINISH_REASON_LENGTH,
    FinishReason.STOP: generation_pb2.FINISH_REASON_STOP,
}


NORMALIZATIONS = {
    generation_pb2.LENGTH_NORMALIZATION_UNSPECIFIED: LengthNormalization.PLAIN,
    generation_pb2.LENGTH_NORMALIZATION_PLAIN: LengthNormalization.PLAIN,
    generation_pb2.LENGTH_NORMALIZATION_GNMT: LengthNormalization.GNMT,
}


_SCALARS = (
    *("max_tokens", "min_tokens", "temperature", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "presence_penalty", "frequency_penalty"),
    *("no_repeat_ngram_size", "seed", "logprobs"),
    *("beam_width", "num_hypotheses", "length_penalty", "coverage_penalty"),
    *("patience", "prefix_bias_beta"),
)


Opened = Callable[[bytes], Saved]  # opens a resume token


Sealed = Callable[[Saved | None], bytes]  # makes one, if there is something to go on with


def prompts(
    request: generation_pb2.GenerateRequest, most: int, opened: Opened
) -> list[Prompt | Saved]:
    """Reads what to continue; `opened` opens resume tokens."""
    check_range("number of prompts", len(request.prompts), 1, most)
    return [_prompt(index, prompt, opened) for index, prompt in enumerate(request.prompts)]


def samples(request: generation_pb2.GenerateRequest, most: int) -> int:
    """Reads how often to continue each prompt."""
    count = request.n if request.HasField("n") else 1
    check_range("n", count, 1, most)
    check_range("number of prompts times n", count * len(request.prompts), 1, most)
    return count


def options(
    asked: generation_pb2.DecodingOptions, defaults: Mapping[str, Any], **others: bool
) -> Options:
    """Reads how to choose tokens; what is unset comes from the model's manifest.

    Args:
        asked: what the request says.
        defaults: of the model.
        others: options that the request says elsewhere.
    """
    # Counted before they are read: a list may hold millions.
    for name, most in MOST_ENTRIES.items():
        check_range(f"number of {name}", len(getattr(asked, name)), 0, most)
    given = {name: getattr(asked, name) for name in _SCALARS if asked.HasField(name)}
    if asked.length_normalization not in NORMALIZATIONS:
        known = sorted(NORMALIZATIONS)
        raise InvalidRequest.of(
            "length_normalization", f"be in {known}", asked.length_normalization
        )
    return Options(
        **{"seed": fresh_seed(), **filled_in(defaults, {**given, **others})},
        logit_bias=dict(asked.logit_bias),
        stop=tuple(asked.stop),
        stop_token_ids=tuple(asked.stop_token_ids),
        suppress_tokens=tuple(asked.suppress_tokens),
        length_normalization=NORMALIZATIONS[asked.length_normalization],
    )


def generate_response(
    pieces: Sequence[Piece], model: GenerationModel, sealed: Sealed
) -> generation_pb2.GenerateResponse:
    """Wraps what is new; `sealed` makes resume tokens."""
    return generation_pb2.GenerateResponse(
        pieces=[_piece(piece, model, sealed) for piece in pieces]
    )


def score_inputs(request: generation_pb2.ScoreRequest, most: int) -> list[ScoreInput]:
    """Reads what to score."""
    check_range("number of inputs", len(request.inputs), 1, most)
    return [_score_input(index, entry) for index, entry in enumerate(request.inputs)]


def score_response(scores: Sequence[Score], model: ScoringModel) -> generation_pb2.ScoreResponse:
    """Wraps scores."""
    return generation_pb2.ScoreResponse(
        results=[
            generation_pb2.ScoreResult(
                input_index=score.index,
                tokens=[
                    generation_pb2.TokenLogprob(
                        token_id=token, text=model.token_text(token), logprob=logprob
                    )
                    for token, logprob in score.tokens
                ],
                logprob=score.logprob,
                perplexity=score.perplexity,
            )
            for score in scores
        ]
    )


def _prompt(index: int, prompt: generation_pb2.Prompt, opened: Opened) -> Prompt | Saved:
    kind = prompt.WhichOneof("input")
    if kind is None:
        allowed = "have text, tokens or a resume token"
        raise InvalidRequest.of(f"prompts[{index}]", allowed, "none of them")
    if kind == "resume_token":
        return opened(prompt.resume_token)
    return prompt.text if kind == "text" else prompt.tokens.ids


def _score_input(index: int, entry: generation_pb2.ScoreInput) -> ScoreInput:
    target, source = entry.WhichOneof("target"), entry.WhichOneof("source")
    if target is None:
        raise InvalidRequest.of(f"inputs[{index}]", "have text or tokens", "neither")
    given: Prompt | None = None
    if source:
        given = entry.source_text if source == "source_text" else entry.source_tokens.ids
    return ScoreInput(target=entry.text if target == "text" else entry.tokens.ids, source=given)


def _piece(piece: Piece, model: GenerationModel, sealed: Sealed) -> generation_pb2.GeneratedPiece:
    return generation_pb2.GeneratedPiece(
        prompt_index=piece.prompt_index,
        sample_index=piece.sample_index,
        text=piece.text,
        tail=piece.tail,
        hypotheses=[hypothesis(answer, model) for answer in piece.answers],
        token_ids=piece.tokens,
        logprobs=[_logprobs(logprobs, model) for logprobs in piece.logprobs],
        summary=_summary(piece.summary) if piece.summary else None,
        resume_token=sealed(piece.saved),
    )


def hypothesis(answer: Answer, model: ScoringModel) -> generation_pb2.Hypothesis:
    """One of several answers, with what was told of it."""
    attention = [] if answer.attention is None else answer.attention.tolist()
    return generation_pb2.Hypothesis(
        text=answer.text,
        score=answer.score,
        logprob=answer.logprob,
        token_ids=answer.tokens,
        logprobs=[_logprobs(logprobs, model) for logprobs in answer.logprobs],
        finish_reason=FINISH_REASONS[answer.reason],
        attention=[generation_pb2.Attention(weights=weights) for weights in attention],
    )


def _logprobs(logprobs: TokenLogprobs, model: ScoringModel) -> generation_pb2.TokenLogprobs:
    return generation_pb2.TokenLogprobs(
        logprob=logprobs.logprob,
        top=[
            generation_pb2.TokenLogprob(token_id=t, text=model.token_text(t), logprob=value)
            for t, value in logprobs.top
        ],
    )


def _summary(summary: Summary) -> generation_pb2.GenerationSummary:
    return generation_pb2.GenerationSummary(
        finish_reason=FINISH_REASONS[summary.ended.reason],
        prompt_tokens=summary.prompt_tokens,
        generated_tokens=summary.generated_tokens,
        seed=summary.seed,
        queue_seconds=summary.ended.queue_s,
        first_token_seconds=summary.ended.first_token_s,
        total_seconds=summary.ended.total_s,
        prompt_tokens_forgotten=summary.forgotten_tokens,
    )
