import json
import os
import pty
import subprocess

import grpc
import pytest

from client.fakes import Refusal


def test_texts_are_classified_in_their_order(main):
    code, out, _ = main("classify", "judge", "--json", "좋아요", "나빠요")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"label": "positive", "score": 0.75},
        {"label": "negative", "score": 0.75},
    ]


@pytest.mark.parametrize("args", [["a", "--json", "b"], ["--json", "a", "b"], ["a", "b", "--json"]])
def test_texts_may_stand_on_either_side_of_flags(main, service, args):
    assert main("classify", "judge", *args)[0] == 0
    assert list(service.requests[-1].texts) == ["a", "b"]


@pytest.mark.parametrize("args", [["--", "-a"], ["--json", "--", "-a"]])
def test_a_text_may_begin_with_a_dash(main, service, args):
    assert main("classify", "judge", *args)[0] == 0
    assert list(service.requests[-1].texts) == ["-a"]


def test_long_input_goes_in_batches_and_keeps_its_order(stepwire, service):
    service.pause_s = 0.05
    texts = [f"{'좋' if number % 3 else '안'} {number}" for number in range(2000)]
    code, out, _ = stepwire(
        "classify", "judge", stdin="".join(f"{it}\r\n" for it in texts).encode()
    )
    assert code == 0
    assert [line.split("\t")[2] for line in out.splitlines()] == texts
    assert {line.split("\t")[0] for line in out.splitlines()[1:3]} == {"positive"}
    assert 8 <= len(service.requests) < 100
    assert max(len(request.texts) for request in service.requests) == 256


def test_a_line_that_is_typed_is_answered_before_the_next(begin):
    process = begin("classify", "judge", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for text in ("좋아요", "나빠요"):
        process.stdin.write(f"{text}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().decode().split("\t")[2] == f"{text}\n"


def test_a_file_is_read_line_by_line_blank_lines_too(main, tmp_path):
    path = tmp_path / "reviews.txt"
    path.write_text("좋아요\n\n좋네", encoding="utf-8")
    code, out, _ = main("classify", "judge", "--file", str(path), "--json")
    labels = [json.loads(line)["label"] for line in out.splitlines()]
    assert (code, labels) == (0, ["positive", "negative", "positive"])


def test_no_lines_are_no_results(stepwire):
    assert stepwire("classify", "judge") == (0, "", "")


def test_input_that_is_not_utf8_names_its_line_after_the_results_before_it(stepwire):
    code, out, err = stepwire("classify", "judge", stdin=b"a\n" * 300 + b"b\xff\n")
    assert code == 1
    assert len(out.splitlines()) == 256
    assert (
        err == "stepwire: line 301 of standard input must be UTF-8, got byte 0xff at position 2\n"
    )


def test_a_refused_text_is_named_by_its_line(stepwire, service):
    message = "texts[1] must have at most 9 tokens, got 12"
    service.refusals = [
        Refusal(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            message=message,
            reason="INVALID_REQUEST",
            metadata={"field": "texts[1]"},
        )
    ]
    code, _, err = stepwire("classify", "judge", stdin=b"a\nb\n")
    assert (code, err) == (1, f"stepwire: line 2 of standard input: {message}\n")


def test_a_terminal_sees_a_bar_on_long_input(begin, service):
    service.pause_s = 0.3
    shown, terminal = pty.openpty()
    process = begin(
        "classify", "judge", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=terminal
    )
    process.communicate("좋아요\n".encode() * 256 * 20)
    os.close(terminal)
    assert process.returncode == 0
    assert b"texts/s" in os.read(shown, 100_000)
    os.close(shown)
