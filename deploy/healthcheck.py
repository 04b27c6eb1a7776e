"""Asks a server in the same container for its health; the exit status is the answer.

    python healthcheck.py [NAME]

NAME is what to ask for: nothing for the whole server, a service, or a model. The port and
the certificates come from the variables that the server itself reads. A server that wants
certificates of its callers is shown its own.
"""

import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_S = 4.0


def main() -> int:
    """Returns 0 if it serves."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    target = f"localhost:{os.environ.get('STEPWIRE_GRPC_PORT', '8001')}"
    try:
        with _channel(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=name)
            status = stub.Check(request, timeout=TIMEOUT_S).status
    except grpc.RpcError as error:
        print(f"{target}: {error.code().name}: {error.details()}")
        return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(status))
    return 0 if status == health_pb2.HealthCheckResponse.SERVING else 1


def _channel(target: str) -> grpc.Channel:
    # A proxy of the container's environment has no business between a server and itself.
    options = [("grpc.enable_http_proxy", 0)]
    certificate = os.environ.get("STEPWIRE_GRPC_SERVER_CERT")
    if not certificate:
        return grpc.insecure_channel(target, options)
    # Only the server's own certificate is trusted here, so its name may be any.
    name = os.environ.get("STEPWIRE_HEALTH_TLS_NAME")
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    chain = Path(certificate).read_bytes()
    key = None
    if os.environ.get("STEPWIRE_GRPC_ROOT_CERT"):
        key = Path(os.environ["STEPWIRE_GRPC_SERVER_KEY"]).read_bytes()
    credentials = grpc.ssl_channel_credentials(chain, key, chain if key else None)
    return grpc.secure_channel(target, credentials, options)


if __name__ == "__main__":
    sys.exit(main())
