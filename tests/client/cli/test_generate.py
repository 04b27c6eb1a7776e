import json
import subprocess

import grpc

from client.fakes import Refusal


def test_text_is_streamed_and_nothing_else_is_printed(stepwire):
    assert stepwire("generate", "echo", "--prompt", "ROMEO: 가") == (0, "ROMEO: 가\n", "")


def test_each_piece_is_printed_as_it_comes(begin):
    process = begin("generate", "endless", "--prompt", "la", stdout=subprocess.PIPE)
    assert process.stdout.read(6) == b"lalala"  # while the stream goes on


def test_every_flag_reaches_the_server(main, service):
    flags = """
        --max-tokens=9 --min-tokens=2 --temperature=0.5 --top-k=0 --top-p=0.9 --min-p=0.1
        --repetition-penalty=1.1 --presence-penalty=-1 --frequency-penalty=0.25
        --no-repeat-ngram-size=3 --logit-bias=17=-2.5 --logit-bias=4=1 --stop=a --stop=b
        --stop-token-id=5 --seed=18446744073709551615 --logprobs=1 --model-version=3
    """
    assert main("generate", "echo", "--prompt=x", *flags.split())[0] == 0
    sent = service.requests[-1]
    assert sent.version == "3"
    assert (sent.options.max_tokens, sent.options.min_tokens, sent.options.top_k) == (9, 2, 0)
    assert sent.options.HasField("top_k")
    assert sent.options.temperature == 0.5
    assert sent.options.presence_penalty == -1
    assert sent.options.frequency_penalty == 0.25
    assert sent.options.no_repeat_ngram_size == 3
    assert dict(sent.options.logit_bias) == {17: -2.5, 4: 1.0}
    assert list(sent.options.stop) == ["a", "b"]
    assert list(sent.options.stop_token_ids) == [5]
    assert sent.options.seed == 2**64 - 1


def test_several_sequences_are_printed_whole_under_their_index(main):
    code, out, _ = main("generate", "echo", "--prompt", "ab", "--prompt", "c", "--n", "2")
    assert code == 0
    assert out == "[0.0]\nab\n[0.1]\nab\n[1.0]\nc\n[1.1]\nc\n"


def test_prompts_come_from_standard_input_more_than_fit_a_call(stepwire, service):
    prompts = [f"prompt {number}" for number in range(70)]
    code, out, _ = stepwire("generate", "echo", "--json", stdin="\n".join(prompts).encode())
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [it["text"] for it in told] == prompts
    assert [it["prompt_index"] for it in told] == list(range(70))
    assert len(service.requests) > 1


def test_json_tells_all_of_a_sequence(main):
    _, out, _ = main("generate", "echo", "--prompt", "가나", "--json", "--seed=4", "--logprobs=1")
    told = json.loads(out)
    assert "가나" in out
    assert (told["prompt_index"], told["sample_index"], told["seed"]) == (0, 0, 4)
    assert (told["text"], told["finish_reason"], told["token_ids"]) == ("가나", "length", [0, 1])
    assert told["logprobs"][0]["top"][0]["token_id"] == 7


def test_a_refused_prompt_is_named_by_its_line(stepwire, service):
    message = "prompts[1] must have at most 9 tokens, got 12"
    service.refusals = [
        Refusal(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            message=message,
            reason="INVALID_REQUEST",
            metadata={"field": "prompts[1]"},
        )
    ]
    code, _, err = stepwire("generate", "echo", stdin=b"a\nb\n")
    assert (code, err) == (1, f"stepwire: line 2 of standard input: {message}\n")
