import json


def test_models_are_listed(main):
    code, out, _ = main("models")
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
    _, out, _ = main("models", "--json")
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["ready", "failed"]


def test_a_model_is_shown(main):
    _, out, _ = main("show", "echo")
    assert "1.42 nats/character on last 10 %" in out
    assert "h to h_next float32 [N, 2, 8]" in out
    told = json.loads(main("show", "echo", "--json")[1])
    assert told["graphs"][0]["states"][0]["shape"] == [2, 8]
