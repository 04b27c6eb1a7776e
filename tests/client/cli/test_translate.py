import json
import math
import os
import pty
import subprocess

import pytest


def test_one_json_object_a_source_in_input_order(main):
    code, out, _ = main("translate", "echo", "--json", "good day", "hi", "--num-hypotheses", "2")
    assert code == 0
    told = [json.loads(line) for line in out.splitlines()]
    assert [each["index"] for each in told] == [0, 1]
    assert told[1]["hypotheses"] == [{"text": "HI", "score": 0.0}, {"text": "HI", "score": -1.0}]


def test_flags_reach_the_server(main, service):
    flags = ("--beam-width", "5", "--length-penalty", "0", "--prefix", "so ", "--alternatives")
    assert main("translate", "echo", "hi", "there", *flags)[0] == 0
    [request] = service.requests
    assert request.options.beam_width == 5
    assert request.options.HasField("length_penalty")
    assert [source.prefix_text for source in request.sources] == ["so ", "so "]
    assert request.return_alternatives


def test_bulk_input_goes_in_batches_and_keeps_its_order(stepwire, service):
    lines = [f"line {number}" for number in range(500)]
    code, out, err = stepwire(
        "translate", "echo", stdin="".join(f"{it}\r\n" for it in lines).encode()
    )
    assert code == 0, err
    assert out.splitlines() == [line.upper() for line in lines]
    assert 500 / 64 <= len(service.requests) < 60


def test_a_file_without_a_newline_at_its_end_is_read_whole(main, tmp_path):
    path = tmp_path / "sources.txt"
    path.write_text("안녕\nbye", encoding="utf-8")
    code, out, _ = main("translate", "echo", "--file", str(path))
    assert (code, out) == (0, "안녕\nBYE\n")


def test_no_input_is_no_output(stepwire, service):
    code, out, _ = stepwire("translate", "echo")
    assert (code, out, service.requests) == (0, "", [])


def test_a_mark_at_the_beginning_of_a_file_is_not_text(stepwire, service):
    code, out, _ = stepwire("translate", "echo", stdin=b"\xef\xbb\xbfhi\n\xef\xbb\xbfthere\n")
    assert (code, out) == (0, "HI\n\ufeffTHERE\n")


def test_bytes_that_are_no_text_are_named_by_their_line(stepwire):
    code, _, err = stepwire("translate", "echo", stdin=b"fine\n\xff\xfe\n")
    assert code != 0
    assert "2" in err
    assert "UTF-8" in err


def test_a_terminal_shows_what_may_come_and_ends_with_what_came(begin):
    screen, end = pty.openpty()
    process = begin("translate", "echo", "good day", stdin=subprocess.DEVNULL, stdout=end)
    os.close(end)
    assert process.wait(20) == 0
    shown = os.read(screen, 10_000).decode()
    assert "\033[2m" in shown  # the tail is dim
    assert shown.rstrip().endswith("GOOD DAY")


def test_only_one_alignment_is_drawn(main, service, tmp_path):
    code, _, err = main("translate", "echo", "a", "b", "--attention", str(tmp_path / "map.png"))
    assert code != 0
    assert "single text" in err
    assert service.requests == []


def test_scores_are_printed_with_the_perplexity_of_all(main):
    code, out, _ = main("score", "echo", "--json", "abc", "a")
    assert code == 0
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["index"], first["logprob"], first["perplexity"]) == (0, -3.0, 4.0)
    assert (second["index"], second["logprob"]) == (1, -1.0)


def test_words_are_counted_where_that_is_asked_for(main):
    code, out, _ = main("score", "echo", "--words", "ab cd", "a", "")
    assert code == 0
    ab_cd, a, nothing, whole = (line.split("\t") for line in out.splitlines())
    assert (float(ab_cd[0]), ab_cd[2]) == (pytest.approx(math.exp(5 / 2), abs=1e-3), "ab cd")
    assert float(a[0]) == pytest.approx(math.exp(1), abs=1e-3)
    assert float(nothing[0]) == 1
    assert float(whole[0]) == pytest.approx(math.exp(6 / 3), abs=1e-3)


def test_sources_that_run_out_before_the_texts_are_an_error(main, tmp_path):
    path = tmp_path / "sources.txt"
    path.write_text("x\n", encoding="utf-8")
    code, _, err = main("score", "echo", "abc", "a", "--sources-file", str(path))
    assert code != 0
    assert "fewer than the texts" in err
