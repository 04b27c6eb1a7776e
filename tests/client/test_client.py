import gc
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

import stepwire
from client.fakes import SEED
from stepwire import DecodingOptions, FinishReason, ModelState, Task


def test_text_arrives_piece_by_piece(client):
    assert list(islice(client.generate("endless", "la"), 3)) == ["la", "la", "la"]


def test_a_stream_that_has_ended_knows_its_text_and_its_summary(client):
    stream = client.generate("echo", "ROMEO:")
    assert list(stream) == ["R", "O", "M", "E", "O", ":"]
    assert stream.text == "ROMEO:"
    assert stream.summary.finish_reason is FinishReason.LENGTH
    assert stream.summary.generated_tokens == 6
    assert stream.summary.seed == SEED


def test_a_stream_has_no_summary_before_its_end(client):
    with client.generate("endless", "la") as stream:
        assert next(stream) == "la"
        assert stream.text == "la"
        with pytest.raises(RuntimeError, match="before the stream has ended"):
            _ = stream.summary


def test_a_stream_cut_short_does_not_look_whole(client):
    with pytest.raises(stepwire.InternalError, match="1 sequences unfinished"):
        list(client.generate("cut", "la"))


def test_a_server_that_is_lost_behind_the_last_piece_took_nothing_along(client):
    assert list(client.generate("lost", "la")) == ["l", "a"]
    assert [each.text for each in client.translate("lost", ["la"])] == ["LA"]


def test_leaving_the_block_frees_the_server(client, service):
    with client.generate("endless", "la") as stream:
        next(stream)
    assert service.left.wait(5)


def test_an_error_in_the_block_frees_the_server(client, service):
    def stumble():
        with client.generate("endless", "la") as stream:
            next(stream)
            raise LookupError

    with pytest.raises(LookupError):
        stumble()
    assert service.left.wait(5)


def test_breaking_out_of_the_loop_frees_the_server(client, service):
    for _ in client.generate("endless", "la"):
        break
    gc.collect()
    assert service.left.wait(5)


def test_a_stream_never_read_frees_the_server_when_dropped(client, service):
    stream = client.generate("endless", "la")
    assert service.arrived.wait(5)
    del stream
    gc.collect()
    assert service.left.wait(5)


def test_closing_from_another_thread_ends_the_wait_of_the_reader(client):
    stream = client.generate("endless", "la")
    threading.Timer(0.1, stream.close).start()
    with pytest.raises(stepwire.Cancelled):
        list(stream)


def test_pieces_of_many_sequences_come_with_their_indices(client):
    texts, summaries = {}, {}
    for piece in client.generate_many("echo", ["ab", "c"], n=2):
        key = piece.prompt_index, piece.sample_index
        texts[key] = texts.get(key, "") + piece.text
        summaries[key] = piece.summary
    assert texts == {(0, 0): "ab", (0, 1): "ab", (1, 0): "c", (1, 1): "c"}
    assert all(summaries.values())


def test_logprobs_stand_beside_the_tokens_that_asked_for_them(client):
    options = DecodingOptions(logprobs=2)
    first = next(client.generate_many("echo", "a", options=options))
    assert first.token_ids == (0,)
    assert [position.logprob for position in first.logprobs] == [-0.25]
    assert [it.token_id for it in first.logprobs[0].top] == [7, 7]


def test_options_reach_the_server_and_zero_is_not_unset(client, service):
    options = DecodingOptions(temperature=0.0, seed=SEED, stop=["\n"], logit_bias={3: -1.5})
    list(client.generate("echo", "a", version="2", options=options))
    request = service.requests[-1]
    assert request.version == "2"
    assert request.options.HasField("temperature")
    assert not request.options.HasField("top_k")
    assert request.options.seed == SEED
    assert dict(request.options.logit_bias) == {3: -1.5}
    assert list(request.options.stop) == ["\n"]


def test_a_prompt_may_be_tokens(client, service):
    next(client.generate_many("endless", [[5, 6], "x"]))
    assert list(service.requests[-1].prompts[0].tokens.ids) == [5, 6]
    assert service.requests[-1].prompts[1].text == "x"


def test_texts_are_classified_in_their_order(client):
    first, second = client.classify("judge", ["좋아요", "나빠요"])
    assert (first.label, first.score) == ("positive", 0.75)
    assert second.labels == (stepwire.ScoredLabel(label="negative", score=0.75),)
    assert second.token_count == 3


def test_one_text_alone_is_a_list_of_one(client, service):
    assert [it.label for it in client.classify("judge", "좋아요")] == ["positive"]
    assert list(service.requests[-1].texts) == ["좋아요"]


def test_an_answer_may_be_larger_than_grpc_takes_by_default(client):
    assert len(client.classify("judge", "huge")[0].label) == 5_000_000


def test_models_are_listed_whether_ready_or_not(client):
    ready, broken = client.models()
    assert (ready.name, ready.task, ready.state) == ("echo", Task.GENERATION, ModelState.READY)
    assert broken.state is ModelState.FAILED
    assert broken.reason == "golden case did not reproduce"


def test_a_model_is_loaded_and_unloaded_by_name(client, service):
    [summary] = client.load_model("echo")
    assert (summary.name, summary.state) == ("echo", ModelState.READY)
    client.unload_model("echo")
    assert [request.model for request in service.requests[-2:]] == ["echo", "echo"]


def test_a_model_is_described_fully(client):
    model = client.model("echo")
    assert model.summary.name == "echo"
    assert model.graphs[0].states[0].shape == (2, 8)
    assert model.decoding_defaults == {"temperature": 0.8}
    assert model.metrics[0].value == 1.42


def test_threads_share_a_client(client):
    texts = [f"text {number}" for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        streams = threads.map(lambda text: "".join(client.generate("echo", text)), texts)
        assert list(streams) == texts


def test_the_timeout_covers_the_whole_stream(client):
    with pytest.raises(stepwire.DeadlineExceeded):
        list(client.generate("endless", "la", timeout_s=0.2))


def test_every_call_has_a_deadline_unless_it_is_infinite(client, service):
    client.classify("judge", "a")
    client.classify("judge", "a", timeout_s=7)
    client.classify("judge", "a", timeout_s=math.inf)
    client.classify("judge", "a", timeout_s=1e300)
    default_s, own_s, infinite_s, huge_s = service.remaining_s
    assert 50 < default_s < 61
    assert 5 < own_s < 8
    assert infinite_s is None
    assert huge_s is None


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan])
def test_a_timeout_that_is_none_is_refused(client, timeout_s):
    with pytest.raises(ValueError, match="timeout_s must be above 0"):
        client.models(timeout_s=timeout_s)
    with pytest.raises(ValueError, match="timeout_s must be above 0"):
        stepwire.Client("localhost:1", timeout_s=timeout_s)


def test_a_closed_client_makes_no_calls(client):
    client.close()
    with pytest.raises(stepwire.Cancelled, match="client is closed"):
        client.models()
    with pytest.raises(stepwire.Cancelled, match="client is closed"):
        client.generate("echo", "la")


def test_closing_the_client_ends_its_streams(client, service):
    stream = client.generate("endless", "la")
    next(stream)
    client.close()
    with pytest.raises(stepwire.Cancelled):
        list(stream)
    assert service.left.wait(5)
