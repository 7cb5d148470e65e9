"""Tensor-level initializers, a file a family: each function fills one tensor."""
