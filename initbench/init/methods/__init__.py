"""Model-level initializers, a file a method: each function treats a whole model."""
