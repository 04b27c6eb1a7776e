"""Runs a command and says how it went: exit codes, and errors in one line."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

from stepwire.cli import (
    classify,
    evaluate,
    forecast,
    generate,
    models,
    score,
    session,
    step,
    tag,
    translate,
    vectors,
)
from stepwire.cli.arguments import parse
from stepwire.cli.lines import InputError
from stepwire.client import Client
from stepwire.errors import DeadlineExceeded, InternalError, StepwireError, Unavailable

_COMMANDS: dict[str, Callable[[argparse.Namespace, Client], None]] = {
    "models": models.run_models,
    "show": models.run_show,
    "generate": generate.run,
    "classify": classify.run,
    "tag": tag.run,
    "translate": translate.run,
    "score": score.run,
    "forecast": forecast.run,
    "embed": vectors.run_embed,
    "neighbors": vectors.run_neighbors,
    "analogy": vectors.run_analogy,
    "step": step.run,
    "session": session.run,
    "evaluate": evaluate.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives its exit code."""
    _prepare_output()
    args = parse(argv)
    try:
        with _client(args) as client:
            _COMMANDS[args.command](args, client)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has all it wants, as `head` does
        _drop_output()
        return 0
    except OSError as error:
        _drop_output()
        return _failed(str(error))
    except (StepwireError, InputError) as error:
        return _failed(_told(error, args))
    return 0


def _client(args: argparse.Namespace) -> Client:
    credentials = None
    if args.tls or args.root_cert:
        roots = Path(args.root_cert).read_bytes() if args.root_cert else None
        credentials = grpc.ssl_channel_credentials(roots)
    return Client(
        args.address, timeout_s=args.timeout_s, credentials=credentials, caller=args.caller
    )


def _failed(message: str) -> int:
    sys.stderr.write(f"stepwire: {' '.join(message.split())}\n")
    return 1


def _told(error: Exception, args: argparse.Namespace) -> str:
    """What to tell a person who sees the command and not the call."""
    match error:
        case Unavailable(reason=""):
            return f"cannot reach the server at {args.address}: {error}"
        case DeadlineExceeded():
            return f"no whole answer within {args.timeout_s:g} s (--timeout): {error}"
        case InternalError(details={"id": id_}) if id_ not in str(error):
            return f"the server failed: {error} (id {id_} in its log)"
        case StepwireError(code=grpc.StatusCode.UNIMPLEMENTED):
            return f"the server at {args.address} does not know this call: {error}"
        case _:
            return str(error)


def _prepare_output() -> None:
    """UTF-8 whatever the locale, as the input is; nowhere if it is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _drop_output() -> None:
    """Sends what is still buffered nowhere, or the interpreter would fail on it again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
