"""The whole suite on tiny models: that figures come out, not what they are."""

import json

import pytest
from benchmarks.ledger import Ledger
from benchmarks.plan import Plan
from benchmarks.ratios import ratios
from benchmarks.suite import sections
from benchmarks.texts import Captions, captions, made_up, prompts

from benchmarks import report

TEXTS = ["a", "good", "bad and long"]
CAPTIONS = Captions(
    sentences=["Two dogs play.", "A man sits on a bench in the park.", "A girl."] * 4,
    references=["두 마리의 개가 논다.", "한 남자가 공원 벤치에 앉아 있다.", "소녀."] * 4,
    source="written here",
)


@pytest.fixture(scope="module")
def plan(repository):
    return Plan(
        repository=repository,
        generator="tiny",
        classifier="judge",
        translator="everyday-en-ko",
        recipe="tiny",
        rounds=2,
        engine_rows=(1, 4, 32, 128),
        engine_tokens=20,
        engine_steps=(5, 10),
        streams=(1, 128),
        stream_tokens=4,
        single_streams=2,
        sampled_streams=(3,),
        prefix_tokens=100,
        prefix_streams=(1, 4),
        in_flight=(1, 64),
        classify_s=0.05,
        searches=(2, 32),
        search_tokens=4,
        search_sentences=1,
        encode_rows=(1, 3),
        clients=(1, 64),
        translate_sentences=12,
        live_sessions=(1, 128),
        many_sessions=256,
        protocol_streams=4,
        step_s=0.1,
        idle_sessions=200,
        woken_sessions=5,
        echo_s=0.05,
        echo_calls=(1, 4),
        training_steps=2,
    )


@pytest.fixture(scope="module")
def ledger(plan):
    ledger = Ledger()
    for measure in sections(plan, TEXTS, CAPTIONS, ledger, lambda what: None).values():
        measure()
    return ledger


def test_every_section_gives_a_figure_a_round(ledger):
    assert {case.section for case, _ in ledger} == {
        *(
            "start",
            "engine",
            "generate",
            "prefixes",
            "classify",
            "search",
            "encode",
            "translate",
            "step",
            "idle",
            "echo",
            "training",
        ),
        *("oip classify", "oip step"),
    }
    for case, values in ledger:
        for quantity, rounds in values.items():
            assert len(rounds) == (1 if case.section == "idle" else 2), (case, quantity)
            assert all(value >= 0 for value in rounds), (case, quantity)


def test_the_promised_ratios_are_there(plan, ledger):
    found = ratios(plan, ledger)
    promised = {"engine_vs_raw_32", "engine_vs_raw_128"}
    promised |= {"step_vs_floor_1", "step_vs_echo_128", "step_vs_naive_128", "idle_session_bytes"}
    promised |= {"classify_ragged_vs_naive_64", "served_vs_raw_128", "steps_256_vs_128"}
    promised |= {"ready_lazily_s", "ready_proved_s"}
    promised |= {"prefix_first_piece_1", "prefix_tokens_4"}
    promised |= {"step_together_vs_echo_128", "step_together_vs_naive_128"}
    promised |= {"translate_engine_vs_raw_32", "translate_vs_naive_64"}
    promised |= {"generate_vs_naive_128", "classify_vs_naive_64", "single_stream_vs_naive"}
    assert promised <= found.keys()
    assert all(0 < value.lowest <= value.median <= value.highest for value in found.values())


def test_the_table_has_a_line_for_every_case(ledger):
    lines = report.table(ledger).splitlines()
    for case, _ in ledger:
        assert any(case.load in line and case.subject in line for line in lines)


def test_the_file_keeps_every_round(plan, ledger, tmp_path):
    path = tmp_path / "results" / "day.json"
    report.save(path, {"commit": "abc"}, ledger, ratios(plan, ledger))
    content = json.loads(path.read_text())
    assert content["commit"] == "abc"
    assert len(content["measured"]) == len(list(ledger))
    assert all(case["rounds"] for case in content["measured"])


def test_a_section_may_be_left_out(plan):
    ledger = Ledger()
    sections(plan, TEXTS, CAPTIONS, ledger, lambda what: None)["engine"]()
    assert {name.rsplit("_", 1)[0] for name in ratios(plan, ledger)} == {
        "engine_vs_raw",
        "engine_sampled_vs_raw",
        "engine_cpu_vs_raw",
        "engine_sampled_cpu_vs_raw",
    }


def test_a_busy_machine_gets_fewer_rounds(plan):
    told = []
    hurried = Plan(**{**vars(plan), "section_s": 0.0, "least_rounds": 1})
    sections(hurried, TEXTS, CAPTIONS, Ledger(), told.append)["engine"]()
    assert told == ["engine, round 1 of 2", "engine: out of time after 1 of 2 rounds"]


def test_the_load_is_the_same_in_every_run():
    assert prompts(5) == prompts(5)
    assert made_up(5) == made_up(5)
    assert len(set(prompts(128))) > 64
    assert captions() == captions()


def test_without_the_data_captions_are_made_up(monkeypatch, tmp_path):
    monkeypatch.setenv("STEPWIRE_DATA", str(tmp_path))
    assert captions().references == []
    assert len(set(captions().sentences)) > 900
