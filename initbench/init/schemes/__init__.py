"""Tensor-level initializers, one file per family: each function fills one tensor."""
