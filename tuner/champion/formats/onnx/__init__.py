"""Champions as ONNX files."""
