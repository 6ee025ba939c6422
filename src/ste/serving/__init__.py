"""The HTTP service: predictions of an exported model.

It needs ONNX Runtime, FastAPI and uvicorn; torch, lightning and MLflow are never imported in its process.
"""
