"""Calls that most tests of a running server make."""

from google.rpc import error_details_pb2, status_pb2

from stepwire.v1 import generation_pb2 as pb


def a_request(*prompts, model="tiny", n=None, **options):
    """A GenerateRequest; a prompt is a text or a list of tokens."""
    messages = [
        pb.Prompt(text=prompt)
        if isinstance(prompt, str)
        else pb.Prompt(tokens=pb.TokenIds(ids=prompt))
        for prompt in prompts
    ]
    options.setdefault("max_tokens", 20)
    return pb.GenerateRequest(
        model=model, prompts=messages, n=n, options=pb.DecodingOptions(**options)
    )


async def generate(stub, request, **call):
    """Reads a whole stream: texts, token ids and summaries by (prompt, sample)."""
    texts, tokens, summaries = {}, {}, {}
    async for response in stub.Generate(request, **call):
        for piece in response.pieces:
            key = (piece.prompt_index, piece.sample_index)
            assert key not in summaries, "a piece came after the summary"
            texts[key] = texts.get(key, "") + piece.text
            tokens.setdefault(key, []).extend(piece.token_ids)
            if piece.HasField("summary"):
                summaries[key] = piece.summary
    assert summaries.keys() == texts.keys(), "a sequence has no summary"
    return texts, tokens, summaries


def error_info(error):
    """Reads google.rpc.ErrorInfo from a failed call."""
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    return info
