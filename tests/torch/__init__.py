"""Tests of the engines on PyTorch, which run in their environment: `.venv-torch/bin/pytest tests/torch`."""
