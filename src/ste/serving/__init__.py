"""The service: predictions over HTTP from an exported model.

Needs ONNX Runtime, FastAPI and uvicorn; torch, lightning and MLflow never enter its process.
"""
