"""A report as a dashboard on Weights & Biases."""
