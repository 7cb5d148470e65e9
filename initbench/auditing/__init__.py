"""Whether a model is initialized as its author meant: what an audit of its first weights finds."""
