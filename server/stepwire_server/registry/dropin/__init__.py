"""Files that drop in: someone's ONNX file, without a manifest, found out, proved and served."""
