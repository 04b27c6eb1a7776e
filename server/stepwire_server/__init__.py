"""The server: loads bundles into ONNX Runtime and serves them over gRPC."""

import os

# gRPC's core writes lines of its own form about handshakes and the like, where every line
# should be one JSON object; it reads this when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
