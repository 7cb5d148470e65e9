"""Model-level initializers, one file per method: each function changes a whole model."""
