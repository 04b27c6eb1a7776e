"""The server: loads bundles into ONNX Runtime and serves them over gRPC."""
