"""Trained models written as ONNX graphs, node by node.

PyTorch's exporters give ONNX's recurrent operators no sequence lengths, so padding would
leak into a row; and they keep weights the way PyTorch stores them, so each step would
transpose them anew. These graphs are short enough to write down.
"""
