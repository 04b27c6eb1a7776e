import signal
import subprocess
import sys

import pytest

from stepwire import cli


def test_an_error_of_the_server_is_one_line(main):
    message = "stepwire: no model called nobody; there are echo, endless\n"
    assert main("generate", "nobody", "--prompt", "x") == (1, "", message)


def test_a_number_that_no_request_can_carry_is_named(main):
    code, _, err = main("generate", "echo", "--prompt=x", "--max-tokens=-1")
    assert code == 1
    assert err == "stepwire: max_tokens must be a whole number in [0, 4294967295], got -1\n"


def test_a_server_that_is_not_there_is_named(main, unused_address):
    code, _, err = main("models", "--address", unused_address)
    assert code == 1
    assert err.startswith(f"stepwire: cannot reach the server at {unused_address}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("place", ["before", "behind"])
def test_the_address_may_stand_on_either_side(main, monkeypatch, address, unused_address, place):
    where = ["--address", address, "--timeout", "9"]
    args = [*where, "models"] if place == "before" else ["models", *where]
    monkeypatch.setenv("STEPWIRE_ADDRESS", unused_address)
    assert main(*args)[0] == 0


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(stepwire, unused_address):
    assert stepwire("models", http_proxy=f"http://{unused_address}")[0] == 0


def test_the_timeout_is_that_of_the_flag(main):
    code, out, err = main("generate", "endless", "--prompt", "la", "--timeout", "1")
    assert code == 1
    assert out.startswith("lala")
    assert err.startswith("stepwire: no whole answer within 1 s (--timeout)")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["generate"],
        ["models", "--timeout", "nan"],
        ["generate", "echo", "--logit-bias", "17"],
        ["generate", "echo", "--n", "0"],
        ["classify", "judge", "--no-such-flag"],
        ["classify", "judge", "text", "--file", "x"],
    ],
)
def test_wrong_usage_is_exit_code_2(args, monkeypatch, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(args)
    assert left.value.code == 2
    assert "usage: stepwire" in capsys.readouterr().err


def test_the_version_is_told(stepwire):
    code, out, _ = stepwire("--version")
    assert code == 0
    assert out.startswith("stepwire ")


def test_ctrl_c_is_exit_code_130_and_frees_the_server(begin, service):
    process = begin(
        "generate", "endless", "--prompt", "la", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.read(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr.read() == b""
    assert service.left.wait(5)


def test_ctrl_c_while_waiting_for_lines_is_exit_code_130(begin):
    process = begin(
        "classify", "judge", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(b"a\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr.read() == b""


def test_a_reader_that_has_enough_is_no_error(begin, service):
    process = begin(
        "generate", "endless", "--prompt", "la", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.read(2)
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""
    assert service.left.wait(5)


def test_a_full_disk_is_an_error(begin):
    with open("/dev/full", "wb") as full:
        process = begin("models", stdout=full, stderr=subprocess.PIPE)
        assert process.wait(20) == 1
    assert process.stderr.read() == b"stepwire: [Errno 28] No space left on device\n"


def test_closed_output_is_no_error(environment):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m stepwire models >&- 2>&-"], env=environment, timeout=60
    )
    assert done.returncode == 0
