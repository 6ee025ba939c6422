"""Export a tracked run as one ONNX file."""
