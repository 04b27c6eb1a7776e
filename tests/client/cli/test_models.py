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


def test_a_model_is_loaded_and_its_versions_are_printed(main, service):
    code, out, _ = main("models", "load", "echo")
    assert (code, service.requests[-1].model) == (0, "echo")
    assert out.splitlines()[1].split()[:2] == ["echo", "1"]
    assert json.loads(main("models", "load", "echo", "--json")[1])["state"] == "ready"


def test_unloading_a_model_prints_nothing(main, service):
    assert main("models", "unload", "echo") == (0, "", "")
    assert type(service.requests[-1]).__name__ == "UnloadModelRequest"
    code, _, err = main("models", "unload", "nobody")
    assert (code, "no model called nobody" in err) == (1, True)
