"""From a tracked run to predictions: a served model is one ONNX file with its model card.

Reading and running a served model needs NumPy and ONNX Runtime only; torch and MLflow are imported for an export.
"""
