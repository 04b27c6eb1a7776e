"""A server small enough to know by heart, on a real port.

Models: "echo" sends its prompt letter by letter, shouts its sources, the last one first, scores
a text by its length, and labels it by its first letter, "sea" and "level" say that a series
rises by one with each row, "endless" never stops, "cut" and "breaks" end
without a summary, "breaks" and "lost" with UNAVAILABLE. A `refusals` list is worked off first,
an answer each call.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

from stepwire.v1 import (
    forecasting_pb2,
    forecasting_pb2_grpc,
    generation_pb2,
    generation_pb2_grpc,
    labeling_pb2,
    labeling_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
)

SEED = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a call fails: a status, and what stands beside it."""

    code: grpc.StatusCode
    message: str = "refused"
    reason: str = ""
    metadata: dict = field(default_factory=dict)
    retry_after_s: float | None = None
    domain: str = "stepwire.dev"

    def abort(self, context):
        context.set_trailing_metadata((("grpc-status-details-bin", self.details()),))
        context.abort(self.code, self.message)

    def details(self) -> bytes:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        info = error_details_pb2.ErrorInfo(
            reason=self.reason, domain=self.domain, metadata=self.metadata
        )
        status.details.append(packed(info))
        if self.retry_after_s is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromNanoseconds(int(self.retry_after_s * 1e9))
            status.details.append(packed(retry))
        return status.SerializeToString()


def packed(message) -> Any:
    any_message = Any()
    any_message.Pack(message)
    return any_message


UNAVAILABLE = Refusal(code=grpc.StatusCode.UNAVAILABLE)
NO_SUCH_MODEL = Refusal(
    code=grpc.StatusCode.NOT_FOUND,
    message="no model called nobody; there are echo, endless",
    reason="MODEL_NOT_FOUND",
)


class FakeServer(
    forecasting_pb2_grpc.ForecastingServiceServicer,
    generation_pb2_grpc.GenerationServiceServicer,
    labeling_pb2_grpc.LabelingServiceServicer,
    models_pb2_grpc.ModelServiceServicer,
):
    """Answers, and remembers what it was asked."""

    def __init__(self):
        self.requests = []
        self.remaining_s = []  # of each call's deadline; None without one
        self.refusals = []
        self.arrived = threading.Event()  # any call
        self.left = threading.Event()  # an endless stream was given up
        self.pause_s = 0.0  # before each unary answer

    def Generate(self, request, context):
        self._begin(request, context)
        if request.model == "endless":
            context.add_callback(self.left.set)
            while not self.left.wait(0.005):
                yield response([generation_pb2.GeneratedPiece(text="la")])
            return
        yield from echo(request, finish=request.model not in ("cut", "breaks"))
        if request.model in ("breaks", "lost"):
            UNAVAILABLE.abort(context)

    def Translate(self, request, context):
        self._begin(request, context)
        if request.model == "endless":
            context.add_callback(self.left.set)
            while not self.left.wait(0.005):
                update = generation_pb2.TranslationUpdate(text="la", tail=" la")
                yield generation_pb2.TranslateResponse(updates=[update])
            return
        yield from shout(request, finish=request.model not in ("cut", "breaks"))
        if request.model in ("breaks", "lost"):
            UNAVAILABLE.abort(context)

    def Score(self, request, context):
        self._begin(request, context)
        for index, each in reversed(list(enumerate(request.inputs))):
            yield generation_pb2.ScoreResponse(
                results=[
                    generation_pb2.ScoreResult(
                        input_index=index, logprob=-len(each.text), perplexity=1 + len(each.text)
                    )
                ]
            )

    def Classify(self, request, context):
        self._begin(request, context)
        time.sleep(self.pause_s)
        return labeling_pb2.ClassifyResponse(results=[verdict(text) for text in request.texts])

    def Forecast(self, request, context):
        self._begin(request, context)
        targets = SERIES[request.model]
        return forecasting_pb2.ForecastResponse(
            forecasts=[risen(series, len(targets), request) for series in request.histories],
            targets=targets,
            direct_rows=min(request.horizon or 3, 3),
            fed_back_rows=max(request.horizon - 3, 0),
        )

    def ListModels(self, request, context):
        self._begin(request, context)
        return models_pb2.ListModelsResponse(models=[ECHO.summary, BROKEN])

    def GetModel(self, request, context):
        self._begin(request, context)
        if request.model in SERIES:
            columns = SERIES[request.model]
            series = models_pb2.SeriesColumns(columns=columns, targets=columns, horizon=3)
            return models_pb2.GetModelResponse(model=models_pb2.Model(series=series))
        if request.model != "echo":
            NO_SUCH_MODEL.abort(context)
        return models_pb2.GetModelResponse(model=ECHO)

    def LoadModel(self, request, context):
        self._begin(request, context)
        return models_pb2.LoadModelResponse(models=[ECHO.summary])

    def UnloadModel(self, request, context):
        self._begin(request, context)
        return models_pb2.UnloadModelResponse()

    def _begin(self, request, context):
        self.requests.append(request)
        self.arrived.set()
        remaining_s = context.time_remaining()
        self.remaining_s.append(None if remaining_s > 1e9 else remaining_s)
        if self.refusals:
            self.refusals.pop(0).abort(context)
        if getattr(request, "model", "") == "nobody":
            NO_SUCH_MODEL.abort(context)


def response(pieces):
    return generation_pb2.GenerateResponse(pieces=pieces)


def echo(request, finish=True):
    """Every prompt back, a letter a message, all sequences side by side."""
    texts = [prompt.text for prompt in request.prompts]
    width = request.n or 1
    for position in range(max(map(len, texts))):
        yield response(
            generation_pb2.GeneratedPiece(
                prompt_index=index, sample_index=sample, text=text[position : position + 1],
                token_ids=[position], logprobs=logprobs(request.options),
            )
            for index, text in enumerate(texts) for sample in range(width)
        )  # fmt: skip
    for index, text in enumerate(texts * finish):
        for sample in range(width):
            yield response([summary(index, sample, text, request.options)])


def shout(request, finish=True):
    """Every source in capitals: first its half with the rest as a tail, then all of it."""
    for index, source in reversed(list(enumerate(request.sources))):
        text = source.prefix_text + source.text.upper()
        half = len(text) // 2
        update = generation_pb2.TranslationUpdate
        yield translated(update(source_index=index, text=text[:half], tail=text[half:]))
        if finish:
            done = update(source_index=index, text=text[half:], summary=COST)
            count = request.options.num_hypotheses or 1
            for rank in range(count):
                done.hypotheses.add(text=text, score=-rank, token_ids=[rank], attention=LOOKED)
            yield translated(done)


def translated(update):
    return generation_pb2.TranslateResponse(updates=[update])


COST = generation_pb2.TranslationSummary(source_tokens=3, seed=SEED, source_cached=True)
LOOKED = [generation_pb2.Attention(weights=[0.25, 0.75])]


def logprobs(options):
    if not options.HasField("logprobs"):
        return []
    top = [generation_pb2.TokenLogprob(token_id=7, text="x", logprob=-0.5)] * options.logprobs
    return [generation_pb2.TokenLogprobs(logprob=-0.25, top=top)]


def summary(index, sample, text, options):
    return generation_pb2.GeneratedPiece(
        prompt_index=index,
        sample_index=sample,
        summary=generation_pb2.GenerationSummary(
            finish_reason=generation_pb2.FINISH_REASON_LENGTH,
            prompt_tokens=len(text),
            generated_tokens=len(text),
            seed=options.seed if options.HasField("seed") else SEED,
        ),
    )


def risen(series, width, request):
    """Each row one more than the row before, with a spread of two; surprised by each number."""
    last, horizon = series.values[-width:], request.horizon or 3
    values = [number + step for step in range(1, horizon + 1) for number in last]
    return forecasting_pb2.SeriesForecast(
        values=values,
        spread=[2.0] * len(values),
        quantiles=[
            forecasting_pb2.Quantile(level=level, values=[value + level for value in values])
            for level in request.quantiles
        ],
        surprises=series.values[::width] if request.surprises else [],
    )


SERIES = {"sea": ["tide", "wind"], "level": ["OT"]}


def verdict(text):
    likeliest = "positive" if text.startswith("좋") else "negative"
    if text == "huge":
        likeliest = "x" * 5_000_000  # over what gRPC takes in by default
    labels = [labeling_pb2.ScoredLabel(label=likeliest, score=0.75)]
    return labeling_pb2.Classification(labels=labels, token_count=len(text))


ECHO = models_pb2.Model(
    summary=models_pb2.ModelSummary(
        name="echo", version="1", task=models_pb2.TASK_GENERATION,
        state=models_pb2.MODEL_STATE_READY, summary="Says it again.",
    ),
    languages=["en"], licence="Apache-2.0", provider="CPUExecutionProvider",
    limits=models_pb2.ModelLimits(max_input_tokens=64, max_new_tokens=32),
    graphs=[models_pb2.Graph(
        role="step",
        inputs=[models_pb2.Tensor(name="token", dtype="int64", role="token")],
        states=[models_pb2.State(input="h", output="h_next", dtype="float32", shape=[2, 8])],
    )],
    metrics=[models_pb2.Metric(name="loss", value=1.42, unit="nats/character", split="last 10 %")],
    decoding_defaults={"temperature": 0.8}, size_bytes=1234567, load_seconds=0.5, digest="ab12",
    provenance=models_pb2.Provenance(recipe="echo", command="make train", parameters=3500000),
)  # fmt: skip
BROKEN = models_pb2.ModelSummary(
    name="broken", version="2", task=models_pb2.TASK_CLASSIFICATION,
    state=models_pb2.MODEL_STATE_FAILED, reason="golden case did not reproduce",
)  # fmt: skip


@contextmanager
def serving(service, port=0, credentials=None):
    """The address at which the service answers, as long as the block lasts."""
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads)
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(service, server)
        forecasting_pb2_grpc.add_ForecastingServiceServicer_to_server(service, server)
        labeling_pb2_grpc.add_LabelingServiceServicer_to_server(service, server)
        models_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
        credentials = credentials or grpc.insecure_server_credentials()
        port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            service.left.set()
            server.stop(None).wait()
