"""The runs of one workload: rankings, learning rates, times to targets, curves."""
