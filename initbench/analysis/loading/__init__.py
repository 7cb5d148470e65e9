"""Runs as pandas frames: from records, tables and Weights & Biases."""
