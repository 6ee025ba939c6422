"""From a run to predictions: a served model is one ONNX file that says itself what it is.

What reads and serves it needs NumPy and ONNX Runtime; torch and MLflow are imported only where a model is exported.
"""
