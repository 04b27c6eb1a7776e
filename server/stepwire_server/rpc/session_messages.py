"""Between the wire messages of sessions and domain values."""

from collections import deque
from hashlib import blake2b
from typing import Any

from numpy.typing import NDArray

from stepwire.v1 import sessions_pb2, streaming_pb2
from stepwire_server.config import SessionLimits
from stepwire_server.errors import InvalidRequest, StepwireError
from stepwire_server.registry.stepping import Inputs, Stepper
from stepwire_server.registry.telling import Told, Wanted
from stepwire_server.registry.text import Prompt
from stepwire_server.rpc.status import STATUS_OF
from stepwire_server.sessions.desk import Desk, Message, Taken
from stepwire_server.sessions.opening import Opening
from stepwire_server.sessions.session import Session, check_window

_DIGEST_BYTES = 16
_MOST_TOGETHER = 1024  # messages in one
_MOST_TOGETHER_BYTES = 1 << 20  # from here on no further answer is put into a message
_MORE = bytes([streaming_pb2.StepResponse.MORE_FIELD_NUMBER << 3 | 2])  # its tag on the wire

_REPEATED = streaming_pb2.StepResponse(
    taken=streaming_pb2.StepsTaken(repeated_answer=True)
).SerializeToString()


def opening(request: sessions_pb2.OpenSessionRequest, limits: SessionLimits) -> Opening:
    """What somebody wants to open; raises InvalidRequest."""
    origin = request.WhichOneof("origin")
    if not 0 <= request.max_snapshots <= limits.max_snapshots:
        allowed = f"be in [0, {limits.max_snapshots}]"
        raise InvalidRequest.of("max_snapshots", allowed, request.max_snapshots)
    if origin is None and not request.model:
        raise InvalidRequest.of("model", "be set where there is no origin", "nothing")
    kind = request.WhichOneof("source")
    source: Prompt | None = None
    if kind:
        source = request.source_text if kind == "source_text" else request.source_tokens.ids
    if origin is not None and source is not None:
        raise InvalidRequest.of("source", "not be set beside an origin, which has its own", "one")
    return Opening(
        source=source,
        model=request.model,
        version=request.version,
        token=request.state_token if origin == "state_token" else None,
        copied=request.session_id if origin == "session_id" else None,
        follows=request.follow_reloads,
        accept_inexact=request.accept_inexact,
        max_snapshots=request.max_snapshots,
        window=check_window(request.window, limits.max_window),
    )


def session_message(session: Session, desk: Desk) -> sessions_pb2.Session:
    """How a session stands."""
    idle_s, lifetime_s = desk.seconds_left(session)
    return sessions_pb2.Session(
        id=session.id,
        model=session.model,
        version=session.version,
        digest=desk.stepper(session).origin.digest,
        follows_reloads=session.follows is not None,
        next_step=session.next_step,
        epoch=session.epoch,
        snapshots=[step for step, _ in session.snapshots],
        window=session.window,
        size_bytes=session.size_bytes,
        idle_seconds_left=idle_s,
        lifetime_seconds_left=lifetime_s,
        inexact=session.inexact,
        source_token_texts=desk.source_texts(session),
    )


def step_message(inputs: streaming_pb2.Inputs, read: Inputs, stepper: Stepper) -> Message:
    """Inputs, which were read, as the desk takes them; raises InvalidRequest."""
    wanted = stepper.teller.usual
    if inputs.HasField("outputs"):
        wanted = _wanted(inputs.outputs)
        stepper.teller.check(wanted)
    return Message(
        epoch=inputs.epoch,
        first_step=inputs.first_step,
        inputs=read,
        wanted=wanted,
        digest=_digest(inputs),
        snapshot=inputs.snapshot,
        export=inputs.export_state,
    )


def read_inputs(inputs: streaming_pb2.Inputs, stepper: Stepper) -> Inputs:
    """Tokens or features; raises InvalidRequest."""
    kind = inputs.WhichOneof("values")
    if kind == "tokens":
        return stepper.read_tokens(inputs.tokens.ids)
    if kind == "features":
        return stepper.read_features(inputs.features.values)
    raise InvalidRequest.of("inputs", "have tokens, text or features", "none of them")


def _wanted(outputs: streaming_pb2.Outputs) -> Wanted:
    return Wanted(
        every_step=outputs.every_step,
        top_k=outputs.top_k,
        logits=outputs.logits,
        entropy=outputs.entropy,
        labels=outputs.labels,
        values=outputs.values,
        hidden_units=tuple(outputs.hidden_units),
        attention=outputs.attention,
    )


def _digest(inputs: streaming_pb2.Inputs) -> bytes:
    """Tells one message from another, whatever stream sends it."""
    epoch = inputs.epoch
    inputs.ClearField("epoch")
    written = inputs.SerializeToString(deterministic=True)
    inputs.epoch = epoch
    return blake2b(written, digest_size=_DIGEST_BYTES).digest()


def write_taken(taken: Taken) -> bytes:
    """An answer as it is kept, and sent."""
    # Written once for every step of every session: in place, and what is not there not at all.
    response = streaming_pb2.StepResponse(session_id=taken.session_id)
    steps = response.taken
    steps.first_step, steps.count = taken.first_step, taken.steps
    for told in taken.told:
        _write_told(told, steps.outputs.add())
    if taken.token:
        steps.state_token = taken.token
    if taken.by:
        steps.version, steps.digest = taken.by.version, taken.by.digest
    return response.SerializeToString()


def check_more(request: streaming_pb2.StepRequest) -> None:
    """Raises InvalidRequest where messages that come together are too many, or nested."""
    if len(request.more) > _MOST_TOGETHER - 1:
        allowed = f"have at most {_MOST_TOGETHER - 1} messages"
        raise InvalidRequest.of("more", allowed, len(request.more))
    for place, each in enumerate(request.more):
        if each.more:
            raise InvalidRequest.of(f"more[{place}].more", "be empty", "some")


def join(answers: deque[streaming_pb2.StepResponse | bytes]) -> bytes:
    """Takes the answers that wait, or as many as one message may hold, and puts them together."""
    parts = [_content(answers.popleft())]
    size = len(parts[0])
    while answers and len(parts) < _MOST_TOGETHER and size < _MOST_TOGETHER_BYTES:
        content = _content(answers.popleft())
        parts.append(_MORE + _varint(len(content)) + content)
        size += len(content)
    return b"".join(parts)


def _content(answer: streaming_pb2.StepResponse | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def _varint(number: int) -> bytes:
    """A length as protobuf writes it."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def repeated_content(content: bytes) -> bytes:
    """A kept answer that says so: protobuf merges messages that follow one another."""
    return content + _REPEATED


def error_message(
    session_id: str, first_step: int, error: StepwireError
) -> streaming_pb2.StepResponse:
    """Why steps were not taken."""
    return streaming_pb2.StepResponse(
        session_id=session_id,
        error=streaming_pb2.StepError(
            first_step=first_step,
            code=STATUS_OF[type(error)].value[0],
            reason=error.reason,
            message=str(error),
            metadata=error.metadata,
        ),
    )


def _write_told(told: Told, written: streaming_pb2.StepOutputs) -> None:
    if told.entropy:
        written.entropy = told.entropy
    if told.surprise:
        written.surprise = told.surprise
    for token, text, logprob in told.tokens:
        written.tokens.add(token_id=token, text=text, logprob=logprob)
    for name, share in told.labels:
        written.labels.add(label=name, score=share)
    for field in ("logits", "values", "spread", "hidden", "attention"):
        array: NDArray[Any] | None = getattr(told, field)
        if array is not None:
            getattr(written, field).extend(array.ravel().tolist())
