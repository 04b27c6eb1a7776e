"""The services of the naive server."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import numpy as np

from benchmarks.naive.models import Classifier, Generator, State
from benchmarks.naive.translator import Translator
from stepwire.v1 import (
    generation_pb2,
    generation_pb2_grpc,
    labeling_pb2,
    labeling_pb2_grpc,
    sessions_pb2,
    sessions_pb2_grpc,
    streaming_pb2,
    streaming_pb2_grpc,
)

Run = Callable[..., Awaitable[Any]]


async def in_the_loop(function: Callable[..., Any], *args: Any) -> Any:
    """The `blocking` variant: the event loop waits for the graph."""
    return function(*args)


async def in_a_thread(function: Callable[..., Any], *args: Any) -> Any:
    """The `executor` variant: the graph runs in the loop's default thread pool."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


class Generation(generation_pb2_grpc.GenerationServiceServicer):
    """One prompt a call, a message for each token; a search for each source."""

    def __init__(
        self, models: dict[str, Generator], translators: dict[str, Translator], run: Run
    ) -> None:
        self._models = models
        self._translators = translators
        self._run = run

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        """Continues the first prompt."""
        model = await _find(self._models, request.model, context)
        options = request.options
        rng = np.random.default_rng(options.seed)
        prompt = model.tokenizer.encode(request.prompts[0].text, add_special_tokens=False).ids
        prompt = [model.begin, *prompt] if model.begin is not None else prompt
        logits, state = await self._run(model.read, prompt, model.start())
        for count in range(1, options.max_tokens + 1):
            token = model.choose(logits, options.temperature, rng)
            piece = generation_pb2.GeneratedPiece(
                text=model.tokenizer.decode([token]), token_ids=[token]
            )
            if count == options.max_tokens:
                piece.summary.finish_reason = generation_pb2.FINISH_REASON_LENGTH
                piece.summary.prompt_tokens = len(prompt)
                piece.summary.generated_tokens = count
            yield generation_pb2.GenerateResponse(pieces=[piece])
            if count < options.max_tokens:
                logits, state = await self._run(model.step, token, state)

    async def Translate(
        self, request: generation_pb2.TranslateRequest, context: Any
    ) -> AsyncIterator[generation_pb2.TranslateResponse]:
        """Translates every source of the call, one after the other."""
        model = await _find(self._translators, request.model, context)
        options = request.options
        width, count = options.beam_width, options.num_hypotheses or 1
        for index, source in enumerate(request.sources):
            found = await self._run(
                model.translate, source.text, width, count, options.max_tokens or model.max_tokens
            )
            hypotheses = [
                generation_pb2.Hypothesis(
                    text=model.tokenizer.decode(one.tokens), score=one.score, token_ids=one.tokens
                )
                for one in found
            ]
            update = generation_pb2.TranslationUpdate(source_index=index, hypotheses=hypotheses)
            yield generation_pb2.TranslateResponse(updates=[update])


class Streaming(
    streaming_pb2_grpc.StreamingServiceServicer, sessions_pb2_grpc.SessionServiceServicer
):
    """A state for each session, and one run of the graph for each step."""

    def __init__(self, models: dict[str, Generator], run: Run) -> None:
        self._models = models
        self._run = run
        self._sessions: dict[str, tuple[Generator, State]] = {}

    async def OpenSession(
        self, request: sessions_pb2.OpenSessionRequest, context: Any
    ) -> sessions_pb2.OpenSessionResponse:
        """Begins a session."""
        model = await _find(self._models, request.model, context)
        name = secrets.token_hex(16)
        self._sessions[name] = model, model.start()
        return sessions_pb2.OpenSessionResponse(session=sessions_pb2.Session(id=name))

    async def Step(
        self, requests: AsyncIterator[streaming_pb2.StepRequest], context: Any
    ) -> AsyncIterator[streaming_pb2.StepResponse]:
        """Takes a step for each message."""
        async for request in requests:
            name, inputs = request.session_id, request.inputs
            if request.WhichOneof("action") == "attach":
                attached = sessions_pb2.Session(id=name, epoch=1)
                yield streaming_pb2.StepResponse(session_id=name, attached=attached)
                continue
            model, state = self._sessions[name]
            logits, state = await self._run(model.read, list(inputs.tokens.ids), state)
            self._sessions[name] = model, state
            logprobs = logits - np.logaddexp.reduce(logits)
            best = int(logits.argmax())
            token = generation_pb2.TokenLogprob(
                token_id=best, text=model.tokenizer.decode([best]), logprob=logprobs[best]
            )
            taken = streaming_pb2.StepsTaken(
                first_step=inputs.first_step,
                count=len(inputs.tokens.ids),
                outputs=[streaming_pb2.StepOutputs(tokens=[token])],
            )
            yield streaming_pb2.StepResponse(session_id=name, taken=taken)


class Labeling(labeling_pb2_grpc.LabelingServiceServicer):
    """One run of the graph for each text."""

    def __init__(self, models: dict[str, Classifier], run: Run) -> None:
        self._models = models
        self._run = run

    async def Classify(
        self, request: labeling_pb2.ClassifyRequest, context: Any
    ) -> labeling_pb2.ClassifyResponse:
        """Labels every text of the call."""
        model = await _find(self._models, request.model, context)
        results = []
        for text in request.texts:
            ranked, count = await self._run(model.classify, text)
            labels = [labeling_pb2.ScoredLabel(label=n, score=score) for n, score in ranked]
            results.append(labeling_pb2.Classification(labels=labels, token_count=count))
        return labeling_pb2.ClassifyResponse(results=results)


async def _find(models: dict[str, Any], name: str, context: Any) -> Any:
    if name not in models:
        await context.abort(grpc.StatusCode.NOT_FOUND, f"no model {name!r}")
    return models[name]
