"""The asynchronous client: `client` with await, under the same names."""

import asyncio
from collections.abc import Sequence
from typing import Self

import grpc
import grpc.aio

from stepwire import describing, wire
from stepwire.aio_streams import (
    Call,
    PieceStream,
    TextStream,
    raise_unless_task_is_cancelled,
    set_within,
)
from stepwire.connection import DEFAULT_TARGET, DEFAULT_TIMEOUT_S, ChannelOption, Connection
from stepwire.descriptions import Model, ModelSummary
from stepwire.errors import cancelled, from_rpc
from stepwire.messages import MODEL_DEFAULTS, Classification, DecodingOptions, Prompt
from stepwire.methods import CLASSIFY, GENERATE, GET_MODEL, LIST_MODELS, Method, RequestT, ResponseT
from stepwire.retry import DEFAULT_RETRY, Retry
from stepwire.v1 import generation_pb2, models_pb2


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
    ) -> None:
        """Prepares a connection, which is made with the first call.

        Args:
            target: host:port, or any gRPC name.
            timeout_s: of calls that do not say; math.inf is no deadline.
            retry: when calls are made again.
            credentials: for TLS; None is plain text.
            channel_options: gRPC channel options, over our own by name.
        """
        self._connection = Connection(
            target=target,
            timeout_s=timeout_s,
            retry=retry,
            credentials=credentials,
            channel_options=channel_options,
        )
        asyncio.get_running_loop()  # outside of one, grpc would bind to a loop that never runs
        self._closed = asyncio.Event()
        self._channel = _channel(self._connection)
        self._generate = self._channel.unary_stream(
            GENERATE.path,
            request_serializer=GENERATE.request.SerializeToString,
            response_deserializer=GENERATE.response.FromString,
        )
        self._classify = _unary(self._channel, CLASSIFY)
        self._list_models = _unary(self._channel, LIST_MODELS)
        self._get_model = _unary(self._channel, GET_MODEL)

    def generate(
        self,
        model: str,
        prompt: Prompt,
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
        prompts: str | Sequence[Prompt],
        *,
        n: int = 1,
        version: str = "",
        options: DecodingOptions = MODEL_DEFAULTS,
        timeout_s: float | None = None,
    ) -> PieceStream:
        """Continues every prompt `n` times; the pieces of all sequences come interleaved."""
        request = wire.generate_request(model, version, prompts, n, options)
        return PieceStream(
            lambda remaining_s: self._start(request, remaining_s),
            self._connection.attempts(timeout_s),
            sequences=len(request.prompts) * n,
        )

    async def classify(
        self,
        model: str,
        texts: str | Sequence[str],
        *,
        top_k: int | None = None,
        truncate: bool = False,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[Classification]:
        """Labels texts, one result each in their order; one text alone is a list of one."""
        request = wire.classify_request(model, version, texts, top_k, truncate)
        return wire.classifications(await self._call(self._classify, request, timeout_s))

    async def models(self, *, timeout_s: float | None = None) -> list[ModelSummary]:
        """Every version of every model, ready or not."""
        request = models_pb2.ListModelsRequest()
        return describing.summaries(await self._call(self._list_models, request, timeout_s))

    async def model(self, name: str, *, version: str = "", timeout_s: float | None = None) -> Model:
        """Describes one model fully."""
        request = wire.get_model_request(name, version)
        return describing.model(await self._call(self._get_model, request, timeout_s))

    async def close(self) -> None:
        """Cancels what is under way; later calls are Cancelled too."""
        self._closed.set()
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _start(self, request: generation_pb2.GenerateRequest, remaining_s: float | None) -> Call:
        self._check_open()
        return self._generate(request, timeout=remaining_s)

    async def _call(
        self,
        call: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout_s: float | None,
    ) -> ResponseT:
        attempts = self._connection.attempts(timeout_s)
        while True:
            self._check_open()
            try:
                return await call(request, timeout=attempts.remaining_s())
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
