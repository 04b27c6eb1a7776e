"""A tour of stepwire: starts the server on the bundled zoo and calls it as a user would.

Run by `make demo`. Everything it prints came over gRPC from the server that it started.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import stepwire
from stepwire import Client, DecodingOptions

ZOO = Path(__file__).parent.parent / "model_zoo/bundles"
REVIEWS = (
    "정말 재미있게 봤어요. 배우들 연기가 최고였습니다!",
    "돈 아깝다. 중간에 나가고 싶었음",
    "기대 안 했는데 끝까지 눈을 뗄 수 없었다",
    "스토리가 너무 뻔하고 지루해요...",
)
SENTENCE = "I think we should wait here until the rain stops."
TAGGED = {
    "pos-en": "They can fish, but I can't open the can!",
    "pos-ko": "나는 어제 새로 산 책을 다 읽었다.",
}
STREAMS = 64
STREAM = "nsmc-lstm-stream"
TYPED = ("배우", " 연기는", " 좋은데", " 스토리가", " 너무", " 지루하다")


@contextmanager
def server(zoo: Path = ZOO, *flags: str) -> Iterator[tuple[dict[str, int], subprocess.Popen[str]]]:
    """Runs a server on free ports; gives what it said when it was ready, and its process."""
    given = ["--model-repository", str(zoo), "--grpc-port", "0", "--metrics-port", "0", *flags]
    child = subprocess.Popen(
        [sys.executable, "-m", "stepwire_server", *given],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert child.stderr
    try:
        for line in child.stderr:
            event = json.loads(line)
            if event["event"] == "server ready":
                yield event, child
                break
            if event["level"] == "error":
                print(f"  {line}", end="", file=sys.stderr)
        else:
            raise SystemExit("the server did not start")
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)


def show_models(client: Client) -> None:
    """What is served, and how good it is."""
    title("What is served")
    for summary in client.models():
        model = client.model(summary.name)
        figures = ", ".join(f"{m.name} {m.value:.4g} {m.unit}" for m in model.metrics[:1])
        print(f"  {summary.name:<18} {figures:<42} {model.size_bytes / 2**20:.1f} MiB")


def stream_text(client: Client) -> None:
    """Text as it is generated, and the same again."""
    title("shakespeare-lstm goes on from 'ROMEO:', character by character")
    options = DecodingOptions(max_tokens=300, temperature=0.8, seed=7)
    stream = client.generate("shakespeare-lstm", "ROMEO:\n", options=options)
    pieces = []
    for piece in stream:
        pieces.append(piece)
        print(piece, end="", flush=True)
    again = "".join(client.generate("shakespeare-lstm", "ROMEO:\n", options=options))
    print(f"\n  ({len(pieces)} pieces; the same seed again gave", end=" ")
    print("the very same text)" if again == "".join(pieces) else "ANOTHER TEXT)")


def share_the_batch(client: Client, metrics_port: int) -> None:
    """Many streams at once step together, and none changes another."""
    title(f"{STREAMS} streams at once, each with its own seed")

    def run(seed: int) -> str:
        options = DecodingOptions(max_tokens=200, temperature=1.0, seed=seed)
        return "".join(client.generate("shakespeare-lstm", "\n", options=options))

    began = time.monotonic()
    with ThreadPoolExecutor(STREAMS) as pool:
        together = list(pool.map(run, range(STREAMS)))
    took_s = time.monotonic() - began
    same = run(3) == together[3]
    print(f"  {STREAMS * 200 / took_s:,.0f} characters a second,", end=" ")
    print(f"{rows_per_step(metrics_port):.1f} rows in the average step")
    print(f"  stream 3 alone gives {'the very same text' if same else 'ANOTHER TEXT'}")


def rows_per_step(metrics_port: int) -> float:
    """Reads the mean number of rows in a step from the server's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as page:
        lines = page.read().decode().splitlines()
    sums = {
        kind: sum(float(line.split()[-1]) for line in lines if line.startswith(name))
        for kind in ("sum", "count")
        for name in [f'stepwire_step_rows_{kind}{{model="shakespeare-lstm"']
    }
    return sums["sum"] / sums["count"]


def judge_reviews(client: Client) -> None:
    """Korean reviews, all in one call."""
    title("nsmc-bilstm judges Korean film reviews")
    for text, result in zip(REVIEWS, client.classify("nsmc-bilstm", REVIEWS), strict=True):
        best = result.labels[0]
        print(f"  {best.label:>8} {best.score:6.1%}  {text}")


def tag_words(client: Client) -> None:
    """Words with their parts of speech, and where they stand."""
    title("pos-en and pos-ko tag words")
    for model, text in TAGGED.items():
        [result] = client.tag(model, text)
        print("  " + " ".join(f"{token.text}/{token.tag}" for token in result.tokens))
        assert all(text[it.start : it.end] == it.text for it in result.tokens)


def translate(client: Client) -> None:
    """A beam search that streams: what is certain, then all that it found."""
    title("tatoeba-en-fr translates, five hypotheses at a time")
    options = DecodingOptions(beam_width=5, num_hypotheses=3)
    with client.stream_translations("tatoeba-en-fr", SENTENCE, options=options) as updates:
        for update in updates:
            if update.text:
                print(f"  certain: {update.text!r}, and perhaps: {update.tail!r}")
            found = update.hypotheses
    for hypothesis in found:
        print(f"  {hypothesis.score:8.3f}  {hypothesis.text}")
    [score] = client.score("tatoeba-en-fr", found[0].text, sources=SENTENCE)
    print(f"  perplexity of the first, asked for by itself: {score.perplexity:.3f}")


def outlive_the_server() -> None:
    """A session goes on where its server is killed, as if nothing had happened."""
    title("nsmc-lstm-stream judges a review while it is typed, and its server is killed meanwhile")
    with TemporaryDirectory() as folder:
        (zoo := Path(folder, "zoo")).mkdir()
        (zoo / STREAM).symlink_to(ZOO / STREAM)
        keys = Path(folder, "keys")
        keys.write_text(f"demo {base64.b64encode(os.urandom(32)).decode()}\n")
        found = []
        with ExitStack() as running:
            ready, child = running.enter_context(server(zoo, "--key-file", str(keys)))
            port = str(ready["grpc_port"])
            client = running.enter_context(Client(f"127.0.0.1:{port}"))
            session = running.enter_context(client.session(STREAM))
            for place, word in enumerate(TYPED):
                if place == len(TYPED) // 2:
                    child.kill()
                    child.wait()
                    print("  ... SIGKILL; another server starts with the same key file ...")
                    restart = ("--key-file", str(keys), "--grpc-port", port)
                    running.enter_context(server(zoo, *restart))
                found.append(session.step(word).last.labels)
                print(f"  {found[-1][0].label:>8} {found[-1][0].score:6.1%} {word}")
            with client.session(STREAM) as quiet:
                same = found == [quiet.step(word).last.labels for word in TYPED]
        print(f"  without the kill: {'the very same numbers' if same else 'OTHER NUMBERS'}")


def refuse(client: Client) -> None:
    """A request that cannot be met."""
    title("What cannot be done is said clearly")
    try:
        "".join(client.generate("shakespeare-lstm", "ROMEO: 안녕"))
    except stepwire.InvalidRequest as error:
        print(f"  {error}")


def title(text: str) -> None:
    """Prints a heading."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def main() -> None:
    """Runs the tour."""
    began = time.monotonic()
    with server() as (ready, _):
        print(f"server ready after {time.monotonic() - began:.1f} s, {ready['models']} models")
        with Client(f"127.0.0.1:{ready['grpc_port']}") as client:
            show_models(client)
            stream_text(client)
            share_the_batch(client, ready["metrics_port"])
            judge_reviews(client)
            tag_words(client)
            translate(client)
            outlive_the_server()
            refuse(client)
    print(f"\nserver drained and stopped; the tour took {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
