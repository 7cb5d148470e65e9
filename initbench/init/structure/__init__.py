"""The parts of a model: residual branches, attentions, gates; found by running the model once (parts.py)."""
