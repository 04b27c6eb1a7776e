"""GenerationService: prompts and sources in, a stream of text or scores out."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from stepwire.v1 import generation_pb2 as pb
from stepwire.v1 import generation_pb2_grpc as pb_grpc
from stepwire_server.registry.generation import GenerationModel
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.registry.saved import Saved
from stepwire_server.registry.scoring import ScoringModel
from stepwire_server.registry.translation import TranslationModel
from stepwire_server.rpc import generation_messages, translation_messages
from stepwire_server.rpc.caller import deadline_of, identity, owner
from stepwire_server.sessions.resuming import ResumeTokens


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Translates between the wire and the engine, and decides nothing itself."""

    def __init__(self, models: ModelRegistry, max_inputs: int, tokens: ResumeTokens) -> None:
        self._models = models
        self._max_inputs = max_inputs
        self._tokens = tokens

    async def Generate(
        self, request: pb.GenerateRequest, context: Any
    ) -> AsyncIterator[pb.GenerateResponse]:
        """Streams pieces of text; leaving early gives the slots back."""
        async with self._models.use(request.model, request.version, GenerationModel) as model:
            opened, sealed = self._resuming(request, context, model.origin)
            call = model.generate(
                generation_messages.prompts(request, self._max_inputs, opened),
                generation_messages.samples(request, self._max_inputs),
                generation_messages.options(request.options, model.defaults),
                deadline_of(context),
                request.resume_every,
                identity(context),
            )
            async with call as rounds:
                async for pieces in rounds:
                    yield generation_messages.generate_response(pieces, model, sealed)

    async def Translate(
        self, request: pb.TranslateRequest, context: Any
    ) -> AsyncIterator[pb.TranslateResponse]:
        """Streams translations; leaving early gives the slots back."""
        async with self._models.use(request.model, request.version, TranslationModel) as model:
            opened, sealed = self._resuming(request, context, model.origin)
            call = model.translate(
                translation_messages.sources(request, self._max_inputs, opened),
                translation_messages.translation_options(request, model.defaults),
                deadline_of(context),
                request.resume_every,
            )
            async with call as rounds:
                async for news in rounds:
                    yield translation_messages.translate_response(news, model, sealed)

    def _resuming(
        self, request: pb.GenerateRequest | pb.TranslateRequest, context: Any, origin: Origin
    ) -> tuple[generation_messages.Opened, generation_messages.Sealed]:
        """How this call opens resume tokens, and how it makes them."""
        caller = owner(context)

        def opened(token: bytes) -> Saved:
            return self._tokens.open(caller, origin, token, accept_inexact=request.accept_inexact)

        def sealed(saved: Saved | None) -> bytes:
            return self._tokens.seal(caller, origin, saved) if saved else b""

        return opened, sealed

    async def Score(
        self, request: pb.ScoreRequest, context: Any
    ) -> AsyncIterator[pb.ScoreResponse]:
        """Streams scores as they are ready."""
        async with self._models.use(request.model, request.version, ScoringModel) as model:
            inputs = generation_messages.score_inputs(request, self._max_inputs)
            async with aclosing(model.score(inputs, deadline_of(context))) as rounds:
                async for scores in rounds:
                    yield generation_messages.score_response(scores, model)
