"""The server: loads bundles into ONNX Runtime and serves them over gRPC."""

import os

# Both are read when the libraries are imported. gRPC's core writes lines of its own form
# about handshakes and the like, where every line should be one JSON object; ONNX Runtime
# would send usage data to its makers.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
