"""The asynchronous client: `client` with await, under the same names."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

import grpc
import grpc.aio

from stepwire import describing, wire
from stepwire.aio_sessions import Calls, Session
from stepwire.aio_streams import (
    PieceStream,
    ScoreStream,
    TextStream,
    TranslationStream,
    raise_unless_task_is_cancelled,
    set_within,
)
from stepwire.connection import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT_S,
    ChannelOption,
    Connection,
    Metadata,
)
from stepwire.descriptions import Model, ModelSummary
from stepwire.embeddings import Analogy, Embedding, Neighborhood, Question
from stepwire.errors import cancelled, from_rpc
from stepwire.forecasts import Forecast, History
from stepwire.messages import (
    AS_THEY_COME,
    AS_USUAL,
    MODEL_DEFAULTS,
    Classification,
    DecodingOptions,
    Prompt,
    SessionInfo,
    SessionOptions,
    Start,
    TextScore,
    Translating,
    Translation,
)
from stepwire.methods import (
    ANALOGY,
    CLASSIFY,
    CLOSE_SESSION,
    EMBED,
    EXPORT_SESSION,
    FORECAST,
    GENERATE,
    GET_MODEL,
    LIST_MODELS,
    LIST_SESSIONS,
    LOAD_MODEL,
    NEIGHBORS,
    OPEN_SESSION,
    ROLL_BACK_SESSION,
    SCORE,
    STEP,
    TAG,
    TRANSLATE,
    UNLOAD_MODEL,
    Method,
    RequestT,
    ResponseT,
)
from stepwire.receiving import Inbox, translation
from stepwire.resuming import GenerationJournal, TranslationJournal
from stepwire.retry import DEFAULT_RETRY, Retry
from stepwire.stepping import Script
from stepwire.tagging import Taggable, TaggedText
from stepwire.v1 import models_pb2, sessions_pb2


class AsyncClient:
    """One connection to a server. For the event loop it was made in.

    Example:
        async with stepwire.AsyncClient("localhost:8001") as client:
            async for text in client.generate("shakespeare-lstm", "ROMEO:"):
                print(text, end="", flush=True)
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: Retry = DEFAULT_RETRY,
        credentials: grpc.ChannelCredentials | None = None,
        channel_options: Sequence[ChannelOption] = (),
        caller: str = "",
    ) -> None:
        """Prepares a connection, which is made with the first call.

        Args:
            target: host:port, or any gRPC name.
            timeout_s: of calls that do not say; math.inf is no deadline.
            retry: when calls are made again.
            credentials: for TLS; None is plain text.
            channel_options: gRPC channel options, over our own by name.
            caller: a secret of yours that your sessions and state tokens belong to; without it
                they belong to whoever knows them.
        """
        self._connection = Connection(
            target=target,
            timeout_s=timeout_s,
            retry=retry,
            credentials=credentials,
            channel_options=channel_options,
            caller=caller,
        )
        asyncio.get_running_loop()  # outside of one, grpc would bind to a loop that never runs
        self._closed = asyncio.Event()
        self._channel = _channel(self._connection)
        self._generate = _streaming(self._channel, GENERATE)
        self._translate = _streaming(self._channel, TRANSLATE)
        self._score = _streaming(self._channel, SCORE)
        self._classify = _unary(self._channel, CLASSIFY)
        self._tag = _unary(self._channel, TAG)
        self._forecast = _unary(self._channel, FORECAST)
        self._embed = _unary(self._channel, EMBED)
        self._neighbors = _unary(self._channel, NEIGHBORS)
        self._analogy = _unary(self._channel, ANALOGY)
        self._list_models = _unary(self._channel, LIST_MODELS)
        self._get_model = _unary(self._channel, GET_MODEL)
        self._load_model = _unary(self._channel, LOAD_MODEL)
        self._unload_model = _unary(self._channel, UNLOAD_MODEL)
        self._list_sessions = _unary(self._channel, LIST_SESSIONS)
        self._sessions = self._session_calls()

    def generate(
        self,
        model: str,
        prompt: Start,
        *,
        version: str = "",
        options: DecodingOptions = MODEL_DEFAULTS,
        timeout_s: float | None = None,
    ) -> TextStream:
        """Continues one prompt; the call begins at once.

        Raises:
            InvalidRequest: a value that the wire cannot carry; all else that can go wrong
                is raised by the stream.
        """
        return TextStream(
            self.generate_many(
                model, [prompt], version=version, options=options, timeout_s=timeout_s
            )
        )

    def generate_many(
        self,
        model: str,
        prompts: str | Sequence[Start],
        *,
        n: int = 1,
        version: str = "",
        options: DecodingOptions = MODEL_DEFAULTS,
        timeout_s: float | None = None,
    ) -> PieceStream:
        """Continues every prompt `n` times; the pieces of all sequences come interleaved."""
        request = wire.generate_request(model, version, prompts, n, options)
        journal = GenerationJournal(request)
        return PieceStream(
            lambda remaining_s: self._begin(self._generate, journal.request(), remaining_s),
            self._connection.attempts(timeout_s),
            Inbox(wire.pieces, wire.sequences(request), journal),
        )

    def stream_translations(
        self,
        model: str,
        sources: str | Sequence[Start],
        *,
        version: str = "",
        options: DecodingOptions = MODEL_DEFAULTS,
        wanted: Translating = AS_THEY_COME,
        timeout_s: float | None = None,
    ) -> TranslationStream:
        """Translates sources; what is new of each comes as the server sends it.

        Raises:
            InvalidRequest: a value that the wire cannot carry; all else that can go wrong
                is raised by the stream.
        """
        request = wire.translate_request(model, version, sources, options, wanted)
        journal = TranslationJournal(request)
        return TranslationStream(
            lambda remaining_s: self._begin(self._translate, journal.request(), remaining_s),
            self._connection.attempts(timeout_s),
            Inbox(wire.translation_updates, len(request.sources), journal),
        )

    async def translate(
        self,
        model: str,
        sources: str | Sequence[Start],
        *,
        version: str = "",
        options: DecodingOptions = MODEL_DEFAULTS,
        wanted: Translating = AS_THEY_COME,
        timeout_s: float | None = None,
    ) -> list[Translation]:
        """Translates sources, one result each in their order."""
        async with self.stream_translations(
            model, sources, version=version, options=options, wanted=wanted, timeout_s=timeout_s
        ) as updates:
            done = {update.source_index: update async for update in updates if update.is_last}
        return [translation(done[index]) for index in sorted(done)]

    def stream_scores(
        self,
        model: str,
        texts: str | Sequence[Prompt],
        *,
        sources: str | Sequence[Prompt] | None = None,
        version: str = "",
        timeout_s: float | None = None,
    ) -> ScoreStream:
        """Scores texts; each score comes as it is ready."""
        request = wire.score_request(model, version, texts, sources)
        return ScoreStream(
            lambda remaining_s: self._begin(self._score, request, remaining_s),
            self._connection.attempts(timeout_s),
            Inbox(wire.text_scores, len(request.inputs)),
        )

    async def score(
        self,
        model: str,
        texts: str | Sequence[Prompt],
        *,
        sources: str | Sequence[Prompt] | None = None,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[TextScore]:
        """How likely a model finds texts, or translations of sources; in their order."""
        async with self.stream_scores(
            model, texts, sources=sources, version=version, timeout_s=timeout_s
        ) as scores:
            return sorted([score async for score in scores], key=lambda score: score.input_index)

    async def classify(  # noqa: PLR0913  # the fields of the request, each by name
        self,
        model: str,
        texts: str | Sequence[str],
        *,
        top_k: int | None = None,
        truncate: bool = False,
        return_attention: bool = False,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[Classification]:
        """Labels texts, one result each in their order.

        Args:
            model: that labels.
            texts: one text alone is a list of one.
            top_k: how many labels to give for each; None is all of them.
            truncate: cut a text over the model's limit to its first tokens, instead of failing.
            return_attention: tell how the model weighed the tokens of each, if it has attention.
            version: of the model; empty is the latest.
            timeout_s: of the whole call.
        """
        request = wire.classify_request(
            model, version, texts, top_k, truncate=truncate, return_attention=return_attention
        )
        return wire.classifications(await self._call(self._classify, request, timeout_s))

    async def tag(
        self,
        model: str,
        texts: str | Sequence[Taggable],
        *,
        top_k: int | None = None,
        truncate: bool = False,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[TaggedText]:
        """Tags the words of texts, one result each in their order.

        Args:
            model: that tags.
            texts: each a text, or the words that it was cut into; one text alone is a list of one.
            top_k: how many tags to give for each word; None is the likeliest alone.
            truncate: keep the first words of a text over the model's limit, instead of failing.
            version: of the model; empty is the latest.
            timeout_s: of the whole call.
        """
        request = wire.tag_request(model, version, texts, top_k, truncate)
        return wire.tagged_texts(await self._call(self._tag, request, timeout_s))

    async def embed(
        self,
        model: str,
        words: str | Sequence[str],
        *,
        texts: bool = False,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[Embedding]:
        """Gives words their vectors, one result each in their order.

        Args:
            model: of word vectors.
            words: each taken as it is; one word alone is a list of one.
            texts: whether they are texts, each to be cut into words and to get the mean of
                their vectors.
            version: of the model; empty is the latest.
            timeout_s: of the whole call.
        """
        request = wire.embed_request(model, version, words, texts)
        return wire.embeddings(await self._call(self._embed, request, timeout_s))

    async def neighbors(
        self,
        model: str,
        words: str | Sequence[str],
        *,
        k: int | None = None,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[Neighborhood]:
        """Gives the words nearest to each word, by the cosine of their vectors.

        Args:
            model: of word vectors.
            words: each taken as it is; one word alone is a list of one.
            k: how many neighbours; None is 10.
            version: of the model; empty is the latest.
            timeout_s: of the whole call.
        """
        request = wire.neighbors_request(model, version, words, k)
        return wire.neighborhoods(await self._call(self._neighbors, request, timeout_s))

    async def analogy(  # noqa: PLR0913  # the fields of the request, each by name
        self,
        model: str,
        positive: Sequence[str],
        negative: Sequence[str] = (),
        *,
        k: int | None = None,
        multiply: bool = False,
        version: str = "",
        timeout_s: float | None = None,
    ) -> Analogy:
        """Gives the words that are near to some and far from others.

        Args:
            model: of word vectors.
            positive: to be near to: king, woman.
            negative: to be far from: man.
            k: how many words; None is 10.
            multiply: score by 3CosMul instead of 3CosAdd.
            version: of the model; empty is the latest.
            timeout_s: of the whole call.
        """
        questions = [Question(positive=positive, negative=negative)]
        [found] = await self.analogies(
            model, questions, k=k, multiply=multiply, version=version, timeout_s=timeout_s
        )
        return found

    async def analogies(
        self,
        model: str,
        questions: Sequence[Question],
        *,
        k: int | None = None,
        multiply: bool = False,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[Analogy]:
        """The same for many questions, one result each in their order."""
        request = wire.analogy_request(model, version, questions, k, multiply)
        return wire.analogies(await self._call(self._analogy, request, timeout_s))

    async def forecast(  # noqa: PLR0913  # the fields of the request, each by name
        self,
        model: str,
        histories: Sequence[History],
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] = (),
        surprises: bool = False,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[Forecast]:
        """Predicts how series go on, one result each in their order.

        Args:
            model: that forecasts.
            histories: series, each a row for each moment, oldest first; of a model with a
                single column each may be the numbers alone.
            horizon: rows to predict; None is the model's own, and beyond it its predictions
                are fed back.
            quantiles: levels in (0, 1) of which to tell the quantiles.
            surprises: whether to tell how surprising each row of the histories was.
            version: of the model; empty is the latest.
            timeout_s: of the whole call.
        """
        wanted = {"horizon": horizon, "quantiles": list(quantiles), "surprises": surprises}
        request = wire.forecast_request(model, version, histories, wanted)
        return wire.forecasts(await self._call(self._forecast, request, timeout_s))

    def session(
        self,
        model: str = "",
        *,
        version: str = "",
        state_token: bytes | None = None,
        options: SessionOptions = AS_USUAL,
        timeout_s: float | None = None,
    ) -> Session:
        """A session, opened by `async with`: from the model's start or from a state token.

        Args:
            model: whose; may be empty with a token.
            version: of it; empty is the latest.
            state_token: where to go on from.
            options: how it is kept.
            timeout_s: of opening it.
        """
        request = wire.open_session_request(model, version, state_token, options)
        script = Script(origin=request, checkpoint_steps=options.checkpoint_steps)
        return Session(self._sessions, script, timeout_s)

    async def sessions(self, *, timeout_s: float | None = None) -> list[SessionInfo]:
        """Lists the sessions of this client's `caller`."""
        request = sessions_pb2.ListSessionsRequest()
        metadata = self._connection.metadata
        response = await self._call(self._list_sessions, request, timeout_s, metadata)
        return [wire.session_info(session) for session in response.sessions]

    def _session_calls(self) -> Calls:
        metadata = self._connection.metadata

        def unary(method: Method[RequestT, ResponseT]) -> Callable[..., Awaitable[Any]]:
            call = _unary(self._channel, method)

            async def make(request: RequestT, remaining_s: float | None) -> ResponseT:
                self._check_open()
                return await call(request, timeout=remaining_s, metadata=metadata)

            return make

        step: Any = self._channel.stream_stream(  # its stub wants an iterator of requests
            STEP.path,
            request_serializer=STEP.request.SerializeToString,
            response_deserializer=STEP.response.FromString,
        )
        return Calls(
            step=lambda: step(metadata=metadata),
            open=unary(OPEN_SESSION),
            export=unary(EXPORT_SESSION),
            roll_back=unary(ROLL_BACK_SESSION),
            close=unary(CLOSE_SESSION),
            attempts=self._connection.attempts,
            wait=asyncio.sleep,
        )

    async def models(self, *, timeout_s: float | None = None) -> list[ModelSummary]:
        """Every version of every model, ready or not."""
        request = models_pb2.ListModelsRequest()
        response = await self._call(self._list_models, request, timeout_s)
        return describing.summaries(response.models)

    async def model(self, name: str, *, version: str = "", timeout_s: float | None = None) -> Model:
        """Describes one model fully."""
        request = wire.get_model_request(name, version)
        return describing.model(await self._call(self._get_model, request, timeout_s))

    async def load_model(self, name: str, *, timeout_s: float | None = None) -> list[ModelSummary]:
        """Has a model loaded, or loaded anew; gives its versions once they serve.

        What is loaded already serves until then. Needs a server whose models are controlled
        by request.
        """
        request = wire.load_model_request(name)
        response = await self._call(self._load_model, request, timeout_s)
        return describing.summaries(response.models)

    async def unload_model(self, name: str, *, timeout_s: float | None = None) -> None:
        """Takes a model away from new callers; those that it has are served to their end."""
        request = wire.unload_model_request(name)
        await self._call(self._unload_model, request, timeout_s)

    async def close(self) -> None:
        """Cancels what is under way; later calls are Cancelled too."""
        self._closed.set()
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _begin(
        self,
        call: grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT],
        request: RequestT,
        remaining_s: float | None,
    ) -> grpc.aio.UnaryStreamCall[RequestT, ResponseT]:
        self._check_open()
        return call(request, timeout=remaining_s)

    async def _call(
        self,
        call: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout_s: float | None,
        metadata: Metadata = (),
    ) -> ResponseT:
        attempts = self._connection.attempts(timeout_s)
        while True:
            self._check_open()
            try:
                return await call(request, timeout=attempts.remaining_s(), metadata=metadata)
            except grpc.RpcError as cause:
                await set_within(self._closed, attempts.pause_after(from_rpc(cause)))
            except asyncio.CancelledError:
                raise_unless_task_is_cancelled()
                raise

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise cancelled("the client is closed")


Client = AsyncClient


def _channel(connection: Connection) -> grpc.aio.Channel:
    if connection.credentials is None:
        return grpc.aio.insecure_channel(connection.target, connection.options())
    return grpc.aio.secure_channel(connection.target, connection.credentials, connection.options())


def _unary(
    channel: grpc.aio.Channel, method: Method[RequestT, ResponseT]
) -> grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT]:
    return channel.unary_unary(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )


def _streaming(
    channel: grpc.aio.Channel, method: Method[RequestT, ResponseT]
) -> grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT]:
    return channel.unary_stream(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )
