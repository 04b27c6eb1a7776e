"""Requests and answers of sessions and their steps."""

from collections.abc import Sequence

from stepwire.messages import (
    Features,
    Outputs,
    Prompt,
    ScoredLabel,
    SessionInfo,
    SessionOptions,
    StepOutputs,
    Stepped,
    TokenLogprob,
)
from stepwire.v1 import generation_pb2, sessions_pb2, streaming_pb2
from stepwire.wire.building import build, prompt_message


def open_session_request(
    model: str, version: str, state_token: bytes | None, options: SessionOptions
) -> sessions_pb2.OpenSessionRequest:
    """Opens a session, from the model's start or from a token."""
    return build(
        sessions_pb2.OpenSessionRequest,
        model=model,
        version=version,
        state_token=state_token,
        accept_inexact=options.accept_inexact,
        max_snapshots=options.max_snapshots,
        window=options.window,
        follow_reloads=options.follow_reloads,
        **_source(options.source),
    )


def session_info(session: sessions_pb2.Session) -> SessionInfo:
    """How a session stands."""
    return SessionInfo(
        id=session.id,
        model=session.model,
        version=session.version,
        next_step=session.next_step,
        snapshots=tuple(session.snapshots),
        window=session.window,
        size_bytes=session.size_bytes,
        idle_seconds_left=session.idle_seconds_left,
        lifetime_seconds_left=session.lifetime_seconds_left,
        inexact=session.inexact,
        source_token_texts=tuple(session.source_token_texts),
        digest=session.digest,
        follows_reloads=session.follows_reloads,
    )


def step_inputs(
    first_step: int,
    values: Prompt | Features,
    wanted: Outputs | None,
    *,
    snapshot: bool,
    export: bool,
) -> streaming_pb2.Inputs:
    """One or several steps."""
    outputs = None if wanted is None else build(streaming_pb2.Outputs, "outputs.", **vars(wanted))
    inputs = streaming_pb2.Inputs(
        first_step=first_step, outputs=outputs, snapshot=snapshot, export_state=export
    )
    if isinstance(values, str):
        inputs.text = build(generation_pb2.Prompt, "inputs.", text=values).text
    elif len(values) and isinstance(values[0], Sequence):
        flat = [number for row in values for number in row]  # type: ignore[union-attr]
        features = build(streaming_pb2.Features, "inputs.features.", values=flat)
        inputs.features.CopyFrom(features)
    else:
        inputs.tokens.CopyFrom(build(generation_pb2.TokenIds, "inputs.tokens.", ids=list(values)))
    return inputs


def stepped(answer: streaming_pb2.StepsTaken) -> Stepped:
    """What some steps gave."""
    return Stepped(
        first_step=answer.first_step,
        count=answer.count,
        outputs=tuple(map(_step_outputs, answer.outputs)),
        state_token=answer.state_token,
        version=answer.version,
        digest=answer.digest,
    )


def _step_outputs(outputs: streaming_pb2.StepOutputs) -> StepOutputs:
    return StepOutputs(
        tokens=tuple(
            TokenLogprob(token_id=each.token_id, text=each.text, logprob=each.logprob)
            for each in outputs.tokens
        ),
        labels=tuple(ScoredLabel(label=each.label, score=each.score) for each in outputs.labels),
        logits=tuple(outputs.logits),
        entropy=outputs.entropy,
        values=tuple(outputs.values),
        spread=tuple(outputs.spread),
        surprise=outputs.surprise,
        hidden=tuple(outputs.hidden),
        attention=tuple(outputs.attention),
    )


def _source(source: Prompt | None) -> dict[str, object]:
    """What a translator's session looks at, as fields of the request."""
    if source is None:
        return {}
    prompt = prompt_message("source_", source)
    if prompt.HasField("text"):
        return {"source_text": prompt.text}
    return {"source_tokens": prompt.tokens}
