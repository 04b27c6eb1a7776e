"""Between wire messages and domain values; the only module that knows both."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepwire.v1 import generation_pb2, labeling_pb2, models_pb2
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import (
    MOST_ENTRIES,
    LengthNormalization,
    Options,
    filled_in,
)
from stepwire_server.engine.job import FinishReason
from stepwire_server.engine.wiring import Wire
from stepwire_server.errors import InvalidRequest, check_range
from stepwire_server.registry.classification import (
    Classification,
    ClassificationModel,
    Judging,
)
from stepwire_server.registry.dropin.serving import DropIn
from stepwire_server.registry.generation import GenerationModel, Piece, Summary, fresh_seed
from stepwire_server.registry.loaded import TENSORS
from stepwire_server.registry.precision import Precision
from stepwire_server.registry.registry import Entry, ModelState
from stepwire_server.registry.saved import Saved
from stepwire_server.registry.scoring import Score, ScoreInput, ScoringModel
from stepwire_server.registry.sequences import Answer
from stepwire_server.registry.text import Prompt
from stepwire_server.registry.translation import (
    SourceInput,
    Translation,
    TranslationModel,
    TranslationSummary,
)
from stepwire_zoo import manifest

FINISH_REASONS = {
    FinishReason.END_OF_SEQUENCE: generation_pb2.FINISH_REASON_END_OF_SEQUENCE,
    FinishReason.LENGTH: generation_pb2.FINISH_REASON_LENGTH,
    FinishReason.STOP: generation_pb2.FINISH_REASON_STOP,
}
MODEL_STATES = {
    ModelState.LOADING: models_pb2.MODEL_STATE_LOADING,
    ModelState.READY: models_pb2.MODEL_STATE_READY,
    ModelState.FAILED: models_pb2.MODEL_STATE_FAILED,
    ModelState.UNLOADED: models_pb2.MODEL_STATE_UNLOADED,
}
TASKS = {
    "generation": models_pb2.TASK_GENERATION,
    "classification": models_pb2.TASK_CLASSIFICATION,
    "tagging": models_pb2.TASK_TAGGING,
    "translation": models_pb2.TASK_TRANSLATION,
    "forecasting": models_pb2.TASK_FORECASTING,
    "embedding": models_pb2.TASK_EMBEDDING,
    TENSORS: models_pb2.TASK_TENSORS,
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


def deadline(context: Any) -> float | None:
    """The caller's deadline on the monotonic clock, if it set one."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s


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


def sources(
    request: generation_pb2.TranslateRequest, most: int, opened: Opened
) -> list[SourceInput | Saved]:
    """Reads what to translate; `opened` opens resume tokens."""
    check_range("number of sources", len(request.sources), 1, most)
    return [_source(index, source, opened) for index, source in enumerate(request.sources)]


def translation_options(
    request: generation_pb2.TranslateRequest, defaults: Mapping[str, Any]
) -> Options:
    """Reads how to translate."""
    return options(
        request.options,
        defaults,
        replace_unknowns=request.replace_unknowns,
        return_attention=request.return_attention,
        return_alternatives=request.return_alternatives,
    )


def translate_response(
    news: Sequence[Translation], model: TranslationModel, sealed: Sealed
) -> generation_pb2.TranslateResponse:
    """Wraps what is new; `sealed` makes resume tokens."""
    return generation_pb2.TranslateResponse(
        updates=[
            generation_pb2.TranslationUpdate(
                source_index=one.index,
                text=one.text,
                tail=one.tail,
                hypotheses=[_hypothesis(answer, model) for answer in one.answers],
                summary=_translation_summary(one.summary) if one.summary else None,
                resume_token=sealed(one.saved),
            )
            for one in news
        ]
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


def generate_response(
    pieces: Sequence[Piece], model: GenerationModel, sealed: Sealed
) -> generation_pb2.GenerateResponse:
    """Wraps what is new; `sealed` makes resume tokens."""
    return generation_pb2.GenerateResponse(
        pieces=[_piece(piece, model, sealed) for piece in pieces]
    )


def texts(request: labeling_pb2.ClassifyRequest, most: int) -> list[str]:
    """Reads what to judge."""
    check_range("number of texts", len(request.texts), 1, most)
    return list(request.texts)


def judging(request: labeling_pb2.ClassifyRequest, model: ClassificationModel) -> Judging:
    """Reads what is wanted of verdicts."""
    count = request.top_k if request.HasField("top_k") else len(model.labels)
    check_range("top_k", count, 1, len(model.labels))
    return Judging(
        top_k=count, truncate=request.truncate, return_attention=request.return_attention
    )


def classify_response(results: list[Classification]) -> labeling_pb2.ClassifyResponse:
    """Wraps verdicts."""
    return labeling_pb2.ClassifyResponse(
        results=[
            labeling_pb2.Classification(
                labels=[labeling_pb2.ScoredLabel(label=n, score=s) for n, s in result.labels],
                token_count=result.token_count,
                truncated=result.truncated,
                tokens=[labeling_pb2.AttendedToken(**token._asdict()) for token in result.tokens],
            )
            for result in results
        ]
    )


def model_summary(entry: Entry) -> models_pb2.ModelSummary:
    """Describes a model in a line."""
    spec = entry.bundle.manifest if entry.bundle else None
    return models_pb2.ModelSummary(
        name=entry.name,
        version=entry.version,
        task=_task(entry),
        state=MODEL_STATES[entry.state],
        reason=entry.reason,
        summary=spec.summary if spec else "",
    )


def _task(entry: Entry) -> models_pb2.Task:
    if entry.location.graph is not None:
        return models_pb2.TASK_TENSORS
    return TASKS[entry.bundle.manifest.task] if entry.bundle else models_pb2.TASK_UNSPECIFIED


def model(entry: Entry, max_inputs: int) -> models_pb2.Model:
    """Describes a model fully, as far as its manifest could be read."""
    if entry.loaded and entry.loaded.dropin:
        return _dropin(entry, entry.loaded.dropin)
    if entry.bundle is None:
        return models_pb2.Model(summary=model_summary(entry))
    spec, loaded = entry.bundle.manifest, entry.loaded
    precision = loaded.precision if loaded else Precision("")
    return models_pb2.Model(
        summary=model_summary(entry),
        languages=spec.languages,
        licence=spec.licence,
        limits=models_pb2.ModelLimits(
            max_input_tokens=spec.limits.max_input_tokens,
            max_new_tokens=spec.limits.max_new_tokens,
            vocabulary_size=spec.tokenizer.vocabulary_size,
            max_inputs_per_call=max_inputs,
            max_beam_width=loaded.max_beam_width if loaded else 0,
            begin_token=spec.tokenizer.begin,
            end_token=spec.tokenizer.end,
            reach=spec.limits.reach,
            subword_count=spec.subwords.tokenizer.vocabulary_size if spec.subwords else 0,
        ),
        labels=spec.labels,
        text_labels=spec.text_labels,
        graphs=[_graph(role, graph) for role, graph in spec.graphs.items()],
        metrics=[_metric(metric) for metric in spec.metrics_in(precision.name)],
        decoding_defaults=spec.decoding,
        provenance=_provenance(spec.provenance),
        provider=loaded.provider if loaded else "",
        size_bytes=spec.size_bytes,
        load_seconds=loaded.load_seconds if loaded else 0.0,
        digest=entry.bundle.digest,
        series=_series(spec.series) if spec.series else None,
        precision=precision.name,
        precision_reason=precision.reason,
        batch_independent=bool(loaded and loaded.stands_alone),
    )


def _dropin(entry: Entry, dropin: DropIn) -> models_pb2.Model:
    wiring, found = dropin.proved.wiring, dropin.proved.inspected
    states = [
        models_pb2.State(
            input=pair.input.name,
            output=pair.output.name,
            dtype=pair.input.dtype,
            shape=_row_shape(pair.input),
            start="zeros" if pair.start is None else "given",
        )
        for pair in wiring.states
    ]
    return models_pb2.Model(
        summary=model_summary(entry),
        graphs=[
            models_pb2.Graph(
                role="tensors",
                inputs=[_wire(wire) for wire in wiring.inputs],
                outputs=[_wire(wire) for wire in wiring.outputs],
                states=states,
            )
        ],
        provider=entry.loaded.provider if entry.loaded else "",
        batch_independent=True,  # where rows would disturb each other they do not share runs
        size_bytes=found.size_bytes,
        load_seconds=entry.loaded.load_seconds if entry.loaded else 0.0,
        digest=found.digest,
    )


def _wire(wire: Wire) -> models_pb2.Tensor:
    return models_pb2.Tensor(name=wire.name, dtype=wire.dtype, shape=_row_shape(wire))


def _row_shape(wire: Wire) -> list[int]:
    return [size for axis, size in enumerate(wire.shape) if axis != wire.batch_axis]


def _prompt(index: int, prompt: generation_pb2.Prompt, opened: Opened) -> Prompt | Saved:
    kind = prompt.WhichOneof("input")
    if kind is None:
        allowed = "have text, tokens or a resume token"
        raise InvalidRequest.of(f"prompts[{index}]", allowed, "none of them")
    if kind == "resume_token":
        return opened(prompt.resume_token)
    return prompt.text if kind == "text" else prompt.tokens.ids


def _source(index: int, source: generation_pb2.Source, opened: Opened) -> SourceInput | Saved:
    kind, prefix = source.WhichOneof("input"), source.WhichOneof("target_prefix")
    if kind is None:
        allowed = "have text, tokens or a resume token"
        raise InvalidRequest.of(f"sources[{index}]", allowed, "none of them")
    if kind == "resume_token":
        if prefix:
            allowed = "not be given with a resume token, which has its own"
            raise InvalidRequest.of(f"sources[{index}].{prefix}", allowed, "one")
        return opened(source.resume_token)
    given: Prompt | None = None
    if prefix:
        given = source.prefix_text if prefix == "prefix_text" else source.prefix_tokens.ids
    return SourceInput(source=source.text if kind == "text" else source.tokens.ids, prefix=given)


def _score_input(index: int, entry: generation_pb2.ScoreInput) -> ScoreInput:
    target, source = entry.WhichOneof("target"), entry.WhichOneof("source")
    if target is None:
        raise InvalidRequest.of(f"inputs[{index}]", "have text or tokens", "neither")
    given: Prompt | None = None
    if source:
        given = entry.source_text if source == "source_text" else entry.source_tokens.ids
    return ScoreInput(target=entry.text if target == "text" else entry.tokens.ids, source=given)


def _hypothesis(answer: Answer, model: ScoringModel) -> generation_pb2.Hypothesis:
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


def _translation_summary(summary: TranslationSummary) -> generation_pb2.TranslationSummary:
    return generation_pb2.TranslationSummary(
        source_tokens=summary.source_tokens,
        source_token_texts=summary.source_words,
        generated_tokens=summary.generated_tokens,
        seed=summary.seed,
        source_cached=summary.was_kept,
        queue_seconds=summary.ended.queue_s,
        first_token_seconds=summary.ended.first_token_s,
        total_seconds=summary.ended.total_s,
    )


def _piece(piece: Piece, model: GenerationModel, sealed: Sealed) -> generation_pb2.GeneratedPiece:
    return generation_pb2.GeneratedPiece(
        prompt_index=piece.prompt_index,
        sample_index=piece.sample_index,
        text=piece.text,
        tail=piece.tail,
        hypotheses=[_hypothesis(answer, model) for answer in piece.answers],
        token_ids=piece.tokens,
        logprobs=[_logprobs(logprobs, model) for logprobs in piece.logprobs],
        summary=_summary(piece.summary) if piece.summary else None,
        resume_token=sealed(piece.saved),
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


def _graph(role: str, graph: manifest.Graph) -> models_pb2.Graph:
    return models_pb2.Graph(
        role=role,
        inputs=[models_pb2.Tensor(**vars(tensor)) for tensor in graph.inputs],
        outputs=[models_pb2.Tensor(**vars(tensor)) for tensor in graph.outputs],
        states=[models_pb2.State(**vars(state)) for state in graph.states],
    )


def _series(series: manifest.Series) -> models_pb2.SeriesColumns:
    return models_pb2.SeriesColumns(
        columns=series.columns, targets=series.targets, horizon=series.horizon
    )


def _metric(metric: manifest.Metric) -> models_pb2.Metric:
    """A figure; those of its other seeds are for the card."""
    told = {name: value for name, value in vars(metric).items() if name != "runs"}
    return models_pb2.Metric(**told)


def _provenance(provenance: manifest.Provenance) -> models_pb2.Provenance:
    return models_pb2.Provenance(
        recipe=provenance.recipe,
        command=provenance.command,
        seed=provenance.seed,
        parameters=provenance.parameters,
        data=[models_pb2.Dataset(**vars(dataset)) for dataset in provenance.data],
    )
