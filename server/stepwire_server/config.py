"""Server settings. Each value is checked once, here, when the process starts."""

from dataclasses import dataclass, field
from pathlib import Path

from stepwire_server.errors import StartupError

PREFIX_ISOLATION = ("caller", "none")  # who may share the beginnings of prompts
AUTO = "auto"
PRECISIONS = (AUTO, "float32", "int8")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, kw_only=True)
class BatchingConfig:
    """How requests to one model share a batch."""

    max_rows: int = 128  # rows stepped together; each sample or hypothesis is one row
    max_waiting: int = 2048  # prompts queued before Overloaded
    max_parked: int = 2048  # prompts whose reader is too far behind, before Overloaded
    max_waiting_sequences: int = 8192  # texts queued before Overloaded
    max_batch: int = 32  # whole sequences run together
    max_delay_s: float = 0.01  # how long a token may wait for company on its way out
    buffer_tokens: int = 512  # undelivered tokens at which a prompt is parked
    max_beam_width: int = 32  # of one request; never more than max_rows
    max_horizon: int = 10_000  # rows that one forecast predicts; never less than a model's own
    max_history_rows: int = 100_000  # of each series that is to be forecast
    source_cache_bytes: int = 64 << 20  # of encoded sources that a translator keeps
    prefix_cache_bytes: int = 64 << 20  # of beginnings of prompts that a generator keeps; 0: none
    prefix_cache_isolation: str = "caller"  # one of PREFIX_ISOLATION

    def __post_init__(self) -> None:
        for name in (
            *("max_rows", "max_waiting", "max_parked"),
            *("max_waiting_sequences", "max_batch", "buffer_tokens", "max_beam_width"),
            *("max_horizon", "max_history_rows"),
        ):
            _at_least(name, getattr(self, name), 1)
        for name in ("source_cache_bytes", "prefix_cache_bytes"):
            _at_least(name, getattr(self, name), 0)
        if self.prefix_cache_isolation not in PREFIX_ISOLATION:
            known, got = ", ".join(PREFIX_ISOLATION), self.prefix_cache_isolation
            raise StartupError(f"prefix_cache_isolation must be one of {known}, got {got!r}")
        if not self.max_delay_s >= 0:
            raise StartupError(f"max_delay_s must be at least 0, got {self.max_delay_s}")

    @property
    def most_in_a_run(self) -> int:
        """Rows of one run: those that stay, and as many that come for one step."""
        return 2 * self.max_rows


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """How ONNX Runtime runs the graphs."""

    provider: str = "cpu"  # one of PROVIDERS
    threads_per_run: int = 1  # more made small steps slower: workers spin while they wait
    engines_per_model: int = 1  # threads that step one model, each a batch; 0: by what it costs
    most_engines: int = 1  # where that is open
    sequence_workers: int = 1  # threads that run whole sequences of one model; 0: by cores
    precision: str = AUTO  # one of PRECISIONS, for the bundles that have it
    strict_batches: bool = False  # refuse models whose rows depend on the rows beside them
    hold_states: bool | None = None  # between steps, on the device; None: if it is not the CPU

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            allowed = ", ".join(PRECISIONS)
            raise StartupError(f"precision must be one of {allowed}, got {self.precision!r}")
        if self.provider not in PROVIDERS:
            raise StartupError(
                f"provider must be one of {', '.join(PROVIDERS)}, got {self.provider!r}"
            )
        _at_least("threads_per_run", self.threads_per_run, 1)
        _at_least("engines_per_model", self.engines_per_model, 0)
        _at_least("most_engines", self.most_engines, 1)
        _at_least("sequence_workers", self.sequence_workers, 0)

    @property
    def holds_states(self) -> bool:
        """Whether states stay on the device; on the CPU binding them costs and saves nothing."""
        return self.provider != "cpu" if self.hold_states is None else self.hold_states


@dataclass(frozen=True, kw_only=True)
class SessionLimits:
    """How many sessions there may be, and for how long."""

    max_sessions: int = 200_000  # of the server
    max_bytes: int = 4 << 30  # of the server
    max_sessions_per_owner: int = 200_000
    max_bytes_per_owner: int = 4 << 30
    idle_s: float = 3600.0  # a session that is not used for as long expires
    lifetime_s: float = 7 * 86400.0  # and so does one that is as old
    evictable_after_s: float = 60.0  # not used for as long and not attached: it may make room
    max_window: int = 64
    max_snapshots: int = 64
    token_s: float = 30 * 86400.0  # how long a state token can be used

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise StartupError(f"{name} must be above 0, got {value}")


CONTROL_MODES = ("none", "poll", "explicit")


@dataclass(frozen=True, kw_only=True)
class ModelControl:
    """Which models are loaded, and when."""

    mode: str = "none"  # one of CONTROL_MODES: all at the start, as folders change, on request
    poll_s: float = 15.0  # between two looks at the repositories
    load_at_start: tuple[str, ...] = ()  # names, or "*"; where models are loaded on request
    versions: str = "all"  # or latest:N, or specific:N,N; see registry/policy.py
    lazy: bool = False  # loads a model when it is first asked for
    max_loaded: int = 0  # models loaded at once, if they are loaded lazily; 0: any number

    def __post_init__(self) -> None:
        if self.mode not in CONTROL_MODES:
            known = ", ".join(CONTROL_MODES)
            raise StartupError(f"model-control-mode must be one of {known}, got {self.mode!r}")
        if not self.poll_s > 0:
            raise StartupError(f"repository-poll-secs must be above 0, got {self.poll_s}")
        if self.load_at_start and self.mode != "explicit":
            raise StartupError("load-model needs --model-control-mode explicit")
        if self.lazy and self.mode == "explicit":
            raise StartupError("lazy-load does not go with --model-control-mode explicit")
        if self.max_loaded and not self.lazy:
            raise StartupError("max-loaded-models needs --lazy-load")
        _at_least("max-loaded-models", self.max_loaded, 0)


@dataclass(frozen=True, kw_only=True)
class TlsConfig:
    """Certificates, as PEM files. Nothing set: plain text."""

    certificate: Path | None = None
    key: Path | None = None
    root: Path | None = None  # set: callers must show a certificate signed by it

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise StartupError("grpc-server-cert and grpc-server-key must be given together")
        if self.root is not None and self.certificate is None:
            raise StartupError("grpc-root-cert needs grpc-server-cert and grpc-server-key")


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Everything a server is started with."""

    model_repositories: tuple[Path, ...]
    grpc_address: str = "127.0.0.1"
    grpc_port: int = 8001  # 0 picks a free one
    metrics_address: str = "127.0.0.1"
    metrics_port: int = 8002  # 0 picks a free one
    metrics: bool = True
    key_file: Path | None = None  # seals sessions and state tokens; None: a key that dies with it
    exit_timeout_s: float = 30.0  # how long a drain waits for running calls
    max_message_bytes: int = 64 << 20  # of one request
    max_inputs_per_call: int = 1024  # prompts or texts in one call
    exit_on_error: bool = False  # stop when a model cannot be loaded
    tls: TlsConfig = field(default_factory=TlsConfig)
    batching: BatchingConfig = field(default_factory=BatchingConfig)
    sessions: SessionLimits = field(default_factory=SessionLimits)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    control: ModelControl = field(default_factory=ModelControl)

    def __post_init__(self) -> None:
        if not self.model_repositories:
            raise StartupError("model-repository must be given at least once")
        for name in ("grpc_port", "metrics_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise StartupError(f"{name} must be in [0, 65535], got {getattr(self, name)}")
        _at_least("max_message_bytes", self.max_message_bytes, 1024)
        _at_least("max_inputs_per_call", self.max_inputs_per_call, 1)
        if not self.exit_timeout_s >= 0:
            raise StartupError(f"exit-timeout-secs must be at least 0, got {self.exit_timeout_s}")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise StartupError(f"{name} must be at least {least}, got {value}")
