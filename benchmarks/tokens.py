"""How large resume tokens and state tokens are, and what they cost: `python -m benchmarks.tokens`.

A server of the bundled zoo is asked for tokens; each line is one kind.
"""

import time
from pathlib import Path

import stepwire
from benchmarks import servers
from stepwire.messages import DecodingOptions, ResumeToken, Start

ZOO = Path(__file__).resolve().parents[1] / "model_zoo" / "bundles"
PROMPT = "ROMEO:\nBut soft, what light through yonder window breaks? It is the east, and Juliet"
SOURCE = "A man in an orange hat starring at something while a dog runs on the beach."
EVERY = 16


def main() -> None:
    """Prints a table."""
    with (
        servers.running({servers.OURS: servers.ours(ZOO)}) as (server,),
        stepwire.Client(server.address) as client,
    ):
        print("| what | tokens before it | bytes |")
        print("| --- | --- | --- |")
        for model in ("shakespeare-rnn", "shakespeare-gru", "shakespeare-lstm"):
            with client.session(model) as session:
                session.step(PROMPT)
                print(f"| state of a session of `{model}` | | {len(session.export()):,} |")
        for options in (
            DecodingOptions(max_tokens=210, temperature=0.8, seed=1, resume_every=EVERY),
            DecodingOptions(max_tokens=100, beam_width=5, resume_every=EVERY),
        ):
            _tell(client, "shakespeare-lstm", PROMPT, options)
        for width in (1, 5):
            _tell(
                client, "multi30k-en-fr", SOURCE, DecodingOptions(beam_width=width, resume_every=8)
            )
        _cost(client)


def _tell(client: stepwire.Client, model: str, start: Start, options: DecodingOptions) -> None:
    """Tells the size of the last token of a sequence."""
    found: list[ResumeToken] = []
    if model.startswith("shakespeare"):
        pieces = list(client.generate_many(model, [start], options=options))
        found = [piece.resume_token for piece in pieces if piece.resume_token]
        tokens = sum(len(piece.token_ids) for piece in pieces) or options.max_tokens
    else:
        updates = list(client.stream_translations(model, [start], options=options))
        found = [update.resume_token for update in updates if update.resume_token]
        summary = updates[-1].summary
        tokens = summary.generated_tokens if summary else 0
    width = options.beam_width or 1
    kind = f"a search of width {width}" if width > 1 else "a sequence"
    print(f"| {kind} of `{model}` | of {tokens} | {len(found[-1].value):,} |")


def _cost(client: stepwire.Client) -> None:
    """Tells what tokens cost a lone stream."""
    seconds = {}
    for every in (0, 64, EVERY, 1):
        options = DecodingOptions(
            max_tokens=1000, temperature=0.8, seed=1, resume_every=every or None
        )
        began = time.perf_counter()
        for _ in client.generate("shakespeare-gru", PROMPT, options=options):
            pass
        seconds[every] = time.perf_counter() - began
    for every, took_s in seconds.items():
        if every:
            more = took_s / seconds[0] - 1
            print(f"\n1,000 tokens of `shakespeare-gru` with a token every {every}: {more:+.0%}")


if __name__ == "__main__":
    main()
