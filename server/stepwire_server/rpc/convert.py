"""Between wire messages and domain values; the only module that knows both."""

import time
from collections.abc import Sequence
from typing import Any

from stepwire.v1 import generation_pb2, labeling_pb2, models_pb2
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import MOST_ENTRIES, Options
from stepwire_server.engine.job import FinishReason
from stepwire_server.errors import InvalidRequest, check_range
from stepwire_server.registry.classification import Classification, ClassificationModel
from stepwire_server.registry.generation import (
    GenerationModel,
    Piece,
    Prompt,
    Summary,
    fresh_seed,
)
from stepwire_server.registry.registry import Entry, ModelState
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
}
TASKS = {
    "generation": models_pb2.TASK_GENERATION,
    "classification": models_pb2.TASK_CLASSIFICATION,
}

_SCALARS = (
    *("max_tokens", "min_tokens", "temperature", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "presence_penalty", "frequency_penalty"),
    *("no_repeat_ngram_size", "seed", "logprobs"),
)


def deadline(context: Any) -> float | None:
    """The caller's deadline on the monotonic clock, if it set one."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s


def prompts(request: generation_pb2.GenerateRequest, most: int) -> list[Prompt]:
    """Reads what to continue."""
    check_range("number of prompts", len(request.prompts), 1, most)
    return [_prompt(index, prompt) for index, prompt in enumerate(request.prompts)]


def samples(request: generation_pb2.GenerateRequest, most: int) -> int:
    """Reads how often to continue each prompt."""
    count = request.n if request.HasField("n") else 1
    check_range("n", count, 1, most)
    check_range("number of prompts times n", count * len(request.prompts), 1, most)
    return count


def options(request: generation_pb2.GenerateRequest, model: GenerationModel) -> Options:
    """Reads how to choose tokens; what is unset comes from the model's manifest."""
    asked = request.options
    # Counted before they are read: a list may hold millions.
    for name, most in MOST_ENTRIES.items():
        check_range(f"number of {name}", len(getattr(asked, name)), 0, most)
    values: dict[str, Any] = {"seed": fresh_seed(), **model.defaults}
    values |= {name: getattr(asked, name) for name in _SCALARS if asked.HasField(name)}
    return Options(
        **values,
        logit_bias=dict(asked.logit_bias),
        stop=tuple(asked.stop),
        stop_token_ids=tuple(asked.stop_token_ids),
    )


def generate_response(
    pieces: Sequence[Piece], model: GenerationModel
) -> generation_pb2.GenerateResponse:
    """Wraps what is new."""
    return generation_pb2.GenerateResponse(pieces=[_piece(piece, model) for piece in pieces])


def texts(request: labeling_pb2.ClassifyRequest, most: int) -> list[str]:
    """Reads what to judge."""
    check_range("number of texts", len(request.texts), 1, most)
    return list(request.texts)


def top_k(request: labeling_pb2.ClassifyRequest, model: ClassificationModel) -> int:
    """Reads how many labels to give."""
    count = request.top_k if request.HasField("top_k") else len(model.labels)
    check_range("top_k", count, 1, len(model.labels))
    return count


def classify_response(results: list[Classification]) -> labeling_pb2.ClassifyResponse:
    """Wraps verdicts."""
    return labeling_pb2.ClassifyResponse(
        results=[
            labeling_pb2.Classification(
                labels=[labeling_pb2.ScoredLabel(label=n, score=s) for n, s in result.labels],
                token_count=result.token_count,
                truncated=result.truncated,
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
        task=TASKS[spec.task] if spec else models_pb2.TASK_UNSPECIFIED,
        state=MODEL_STATES[entry.state],
        reason=entry.reason,
        summary=spec.summary if spec else "",
    )


def model(entry: Entry, max_inputs: int) -> models_pb2.Model:
    """Describes a model fully, as far as its manifest could be read."""
    if entry.bundle is None:
        return models_pb2.Model(summary=model_summary(entry))
    spec = entry.bundle.manifest
    return models_pb2.Model(
        summary=model_summary(entry),
        languages=spec.languages,
        licence=spec.licence,
        limits=models_pb2.ModelLimits(
            max_input_tokens=spec.limits.max_input_tokens,
            max_new_tokens=spec.limits.max_new_tokens,
            vocabulary_size=spec.tokenizer.vocabulary_size,
            max_inputs_per_call=max_inputs,
        ),
        labels=spec.labels,
        graphs=[_graph(role, graph) for role, graph in spec.graphs.items()],
        metrics=[models_pb2.Metric(**vars(metric)) for metric in spec.metrics],
        decoding_defaults=spec.decoding,
        provenance=_provenance(spec.provenance),
        provider=entry.loaded.provider if entry.loaded else "",
        size_bytes=spec.size_bytes,
        load_seconds=entry.loaded.load_seconds if entry.loaded else 0.0,
        digest=entry.bundle.digest,
    )


def _prompt(index: int, prompt: generation_pb2.Prompt) -> Prompt:
    kind = prompt.WhichOneof("input")
    if kind is None:
        raise InvalidRequest.of(f"prompts[{index}]", "have text or tokens", "neither")
    return prompt.text if kind == "text" else prompt.tokens.ids


def _piece(piece: Piece, model: GenerationModel) -> generation_pb2.GeneratedPiece:
    return generation_pb2.GeneratedPiece(
        prompt_index=piece.prompt_index,
        sample_index=piece.sample_index,
        text=piece.text,
        token_ids=piece.tokens,
        logprobs=[_logprobs(logprobs, model) for logprobs in piece.logprobs],
        summary=_summary(piece.summary) if piece.summary else None,
    )


def _logprobs(logprobs: TokenLogprobs, model: GenerationModel) -> generation_pb2.TokenLogprobs:
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
    )


def _graph(role: str, graph: manifest.Graph) -> models_pb2.Graph:
    return models_pb2.Graph(
        role=role,
        inputs=[models_pb2.Tensor(**vars(tensor)) for tensor in graph.inputs],
        outputs=[models_pb2.Tensor(**vars(tensor)) for tensor in graph.outputs],
        states=[models_pb2.State(**vars(state)) for state in graph.states],
    )


def _provenance(provenance: manifest.Provenance) -> models_pb2.Provenance:
    return models_pb2.Provenance(
        recipe=provenance.recipe,
        command=provenance.command,
        seed=provenance.seed,
        parameters=provenance.parameters,
        data=[models_pb2.Dataset(**vars(dataset)) for dataset in provenance.data],
    )
