"""Where the server is and how it is reached, the same for both clients."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from stepwire.retry import DEFAULT_RETRY, Attempts, Retry, check_timeout

DEFAULT_TARGET = "localhost:8001"
DEFAULT_TIMEOUT_S = 60.0

_CALLER = "x-stepwire-caller"

ChannelOption = tuple[str, str | int]
Metadata = tuple[tuple[str, str | bytes], ...]

_CHANNEL_OPTIONS: dict[str, str | int] = {
    "grpc.max_receive_message_length": -1,  # the server's answers are trusted; -1 is no limit
    "grpc.max_send_message_length": -1,  # the server decides what is too large
    # Servers hang up on clients that ping more often than every five minutes.
    "grpc.keepalive_time_ms": 310_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.http2.max_pings_without_data": 0,  # keep on while a long call is silent
    # A retry would otherwise meet the refused connection of the attempt before it.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 5_000,
}


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What both clients are made of."""

    target: str = DEFAULT_TARGET  # host:port, or any gRPC name
    timeout_s: float = DEFAULT_TIMEOUT_S  # of calls that do not say; infinite is no deadline
    retry: Retry = DEFAULT_RETRY
    credentials: grpc.ChannelCredentials | None = None  # None is plain text
    channel_options: Sequence[ChannelOption] = ()  # over our own, by name
    caller: str = ""  # whose sessions those are that it opens

    def __post_init__(self) -> None:
        check_timeout(self.timeout_s)

    def options(self) -> list[ChannelOption]:
        """Our channel options and the caller's over them."""
        # No proxy that the environment names can reach this machine's own loopback.
        direct = {"grpc.enable_http_proxy": 0} if self._is_loopback() else {}
        return list((_CHANNEL_OPTIONS | direct | dict(self.channel_options)).items())

    def attempts(self, timeout_s: float | None) -> Attempts:
        """The attempts at a call that begins now; None is the connection's own timeout."""
        return Attempts(self.retry, self.timeout_s if timeout_s is None else timeout_s)

    @property
    def metadata(self) -> Metadata:
        """What goes with the calls of sessions."""
        return ((_CALLER, self.caller),) if self.caller else ()

    def _is_loopback(self) -> bool:
        return self.target.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
