"""Starts a server: `stepwire-server --model-repository DIR`.

Every flag has an environment variable, STEPWIRE_ and its name in capitals.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepwire_server import app, logs, loop
from stepwire_server.config import (
    CONTROL_MODES,
    PRECISIONS,
    PREFIX_ISOLATION,
    PROVIDERS,
    BatchingConfig,
    ModelControl,
    RuntimeConfig,
    ServerConfig,
    SessionLimits,
    TlsConfig,
)
from stepwire_server.errors import StartupError

log = logging.getLogger(__name__)

REPOSITORIES = "STEPWIRE_MODEL_REPOSITORY"
LOAD_MODEL = "STEPWIRE_LOAD_MODEL"
FROM_THE_MACHINE = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns its exit status."""
    flags = _parser().parse_args(arguments)
    logs.set_up(flags.log_level)
    try:
        loop.run(app.serve(_config(flags)))
    except StartupError as error:
        log.error("cannot start", extra={"reason": str(error)})
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    """Takes the default of each flag from its environment variable."""

    def flag(self, name: str, default: object, help: str, **settings: Any) -> None:
        variable = "STEPWIRE_" + name.removeprefix("--").replace("-", "_").upper()
        default = os.environ.get(variable, default)
        if settings.get("action") == "store_true":
            default = str(default).lower() in ("1", "true", "yes")
        allowed = settings.get("choices")
        if allowed and default not in allowed:
            self.error(f"{variable} must be one of {', '.join(allowed)}, got {default!r}")
        self.add_argument(name, default=default, help=f"{help} [{variable}]", **settings)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="stepwire-server", description="Serves a repository of bundles.")
    batching, runtime = BatchingConfig(), RuntimeConfig()
    parser.add_argument(
        "--model-repository",
        type=Path,
        action="append",
        help="folder of bundles; may be given more than once "
        f"[{REPOSITORIES}, folders separated by {os.pathsep!r}]",
    )
    control = ModelControl()
    parser.flag(
        "--model-control-mode",
        control.mode,
        "load all models at the start, follow their folders, or load on request",
        choices=list(CONTROL_MODES),
    )
    parser.flag(
        "--repository-poll-secs", control.poll_s, "between two looks at the folders", type=float
    )
    parser.add_argument(
        "--load-model",
        action="append",
        help="model to load at the start, or '*' for all, with --model-control-mode explicit; "
        f"may be given more than once [{LOAD_MODEL}, separated by commas]",
    )
    parser.flag("--version-policy", control.versions, "all, latest:N or specific:N,N")
    parser.flag(
        "--lazy-load", control.lazy, "load a model when it is first asked for", action="store_true"
    )
    parser.flag(
        "--max-loaded-models", control.max_loaded, "at once, with --lazy-load; 0: any", type=int
    )
    parser.flag("--grpc-address", "127.0.0.1", "address to listen on")
    parser.flag("--grpc-port", 8001, "port to listen on; 0 picks one", type=int)
    parser.flag("--metrics-address", "127.0.0.1", "address of /metrics")
    parser.flag("--metrics-port", 8002, "port of /metrics; 0 picks one", type=int)
    parser.flag("--no-metrics", False, "serve no metrics", action="store_true")
    parser.flag("--exit-timeout-secs", 30.0, "how long to drain", type=float)
    parser.flag("--exit-on-error", False, "stop if a model cannot be loaded", action="store_true")
    parser.flag("--provider", runtime.provider, "where graphs run", choices=list(PROVIDERS))
    parser.flag(
        "--precision",
        runtime.precision,
        "what graphs compute in, where bundles have it; auto: int8 on a CPU",
        choices=list(PRECISIONS),
    )
    parser.flag(
        "--strict-batches",
        runtime.strict_batches,
        "refuse models whose rows depend on what shares their batch",
        action="store_true",
    )
    parser.flag(
        "--threads-per-run", runtime.threads_per_run, "threads of one run of a graph", type=int
    )
    parser.flag(
        "--engines-per-model",
        FROM_THE_MACHINE,
        "batches of one model stepped at once; 0: by what it costs and the machine has",
        type=int,
    )
    parser.flag(
        "--sequence-workers",
        FROM_THE_MACHINE,
        "runs of whole sequences at once, per model; 0: as many as suit the machine",
        type=int,
    )
    parser.flag("--max-rows", batching.max_rows, "rows stepped together, per model", type=int)
    parser.flag("--max-batch", batching.max_batch, "whole sequences run together", type=int)
    parser.flag("--max-beam-width", batching.max_beam_width, "beams of one search", type=int)
    parser.flag("--max-horizon", batching.max_horizon, "rows that a forecast predicts", type=int)
    parser.flag(
        "--max-history-rows", batching.max_history_rows, "rows of a series to forecast", type=int
    )
    parser.flag(
        "--source-cache-bytes",
        batching.source_cache_bytes,
        "encoded sources that a translator keeps",
        type=int,
    )
    parser.flag(
        "--prefix-cache-bytes",
        batching.prefix_cache_bytes,
        "beginnings of prompts that a generator keeps; 0: none",
        type=int,
    )
    parser.flag(
        "--prefix-cache-isolation",
        batching.prefix_cache_isolation,
        "whether callers share them with themselves only, or all with all",
        choices=list(PREFIX_ISOLATION),
    )
    parser.flag("--max-waiting", batching.max_waiting, "prompts queued, per model", type=int)
    parser.flag(
        "--max-waiting-texts", batching.max_waiting_sequences, "texts queued, per model", type=int
    )
    parser.flag(
        "--max-delay-ms",
        batching.max_delay_s * 1000,
        "how long a token may wait for company on the wire when the server is busy",
        type=float,
    )
    parser.flag("--max-inputs-per-call", 1024, "prompts or texts in one call", type=int)
    parser.flag("--max-message-bytes", 64 << 20, "size of one request", type=int)
    sessions = SessionLimits()
    parser.flag(
        "--key-file",
        None,
        "keys that seal sessions and state tokens; unset: a fresh one",
        type=Path,
    )
    parser.flag("--max-sessions", sessions.max_sessions, "sessions kept at once", type=int)
    parser.flag("--max-session-bytes", sessions.max_bytes, "what they may take", type=int)
    parser.flag(
        "--max-sessions-per-caller", sessions.max_sessions_per_owner, "of one caller", type=int
    )
    parser.flag(
        "--max-session-bytes-per-caller", sessions.max_bytes_per_owner, "of one caller", type=int
    )
    parser.flag(
        "--session-idle-secs", sessions.idle_s, "a session not used for as long ends", type=float
    )
    parser.flag(
        "--session-lifetime-secs", sessions.lifetime_s, "a session as old as this ends", type=float
    )
    parser.flag(
        "--state-token-secs", sessions.token_s, "how long a state token can be used", type=float
    )
    parser.flag("--grpc-server-cert", None, "certificate, PEM", type=Path)
    parser.flag("--grpc-server-key", None, "its key, PEM", type=Path)
    parser.flag("--grpc-root-cert", None, "callers need a certificate signed by this", type=Path)
    parser.flag(
        "--log-level", "info", "least level of log lines", choices=["debug", "info", "warning"]
    )
    return parser


def _repositories() -> list[Path]:
    folders = os.environ.get(REPOSITORIES, "").split(os.pathsep)
    return [Path(folder) for folder in folders if folder]


def _names(variable: str) -> list[str]:
    return [name for name in os.environ.get(variable, "").split(",") if name]


def _config(flags: argparse.Namespace) -> ServerConfig:
    return ServerConfig(
        model_repositories=tuple(flags.model_repository or _repositories()),
        grpc_address=flags.grpc_address,
        grpc_port=flags.grpc_port,
        metrics_address=flags.metrics_address,
        metrics_port=flags.metrics_port,
        metrics=not flags.no_metrics,
        exit_timeout_s=flags.exit_timeout_secs,
        exit_on_error=flags.exit_on_error,
        max_inputs_per_call=flags.max_inputs_per_call,
        max_message_bytes=flags.max_message_bytes,
        tls=TlsConfig(
            certificate=flags.grpc_server_cert,
            key=flags.grpc_server_key,
            root=flags.grpc_root_cert,
        ),
        batching=BatchingConfig(
            max_rows=flags.max_rows,
            max_batch=flags.max_batch,
            max_beam_width=flags.max_beam_width,
            max_horizon=flags.max_horizon,
            max_history_rows=flags.max_history_rows,
            source_cache_bytes=flags.source_cache_bytes,
            prefix_cache_bytes=flags.prefix_cache_bytes,
            prefix_cache_isolation=flags.prefix_cache_isolation,
            max_waiting=flags.max_waiting,
            max_waiting_sequences=flags.max_waiting_texts,
            max_delay_s=flags.max_delay_ms / 1000,
        ),
        control=ModelControl(
            mode=flags.model_control_mode,
            poll_s=flags.repository_poll_secs,
            load_at_start=tuple(flags.load_model or _names(LOAD_MODEL)),
            versions=flags.version_policy,
            lazy=flags.lazy_load,
            max_loaded=flags.max_loaded_models,
        ),
        key_file=flags.key_file,
        sessions=SessionLimits(
            max_sessions=flags.max_sessions,
            max_bytes=flags.max_session_bytes,
            max_sessions_per_owner=flags.max_sessions_per_caller,
            max_bytes_per_owner=flags.max_session_bytes_per_caller,
            idle_s=flags.session_idle_secs,
            lifetime_s=flags.session_lifetime_secs,
            token_s=flags.state_token_secs,
        ),
        runtime=RuntimeConfig(
            provider=flags.provider,
            threads_per_run=flags.threads_per_run,
            engines_per_model=flags.engines_per_model,
            sequence_workers=flags.sequence_workers,
            precision=flags.precision,
            strict_batches=flags.strict_batches,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
