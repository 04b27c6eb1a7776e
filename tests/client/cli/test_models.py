import json


def test_models_are_listed(stepwire):
    code, out, _ = stepwire("models")
    assert code == 0
    assert out.splitlines()[1].split() == [
        "echo",
        "1",
        "generation",
        "ready",
        "Says",
        "it",
        "again.",
    ]
    assert "golden case did not reproduce" in out
    _, out, _ = stepwire("models", "--json")
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["ready", "failed"]


def test_a_model_is_shown(stepwire):
    _, out, _ = stepwire("show", "echo")
    assert "1.42 nats/character on last 10 %" in out
    assert "h to h_next float32 [N, 2, 8]" in out
    told = json.loads(stepwire("show", "echo", "--json")[1])
    assert told["graphs"][0]["states"][0]["shape"] == [2, 8]
