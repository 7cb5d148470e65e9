"""From runs to a verdict, in five steps. Each folder imports only those above it in this list:

statistics    numbers: tests, intervals, ranks, survival; they know nothing about runs
loading       runs as frames: from records, from tables of scores, from Weights & Biases
workload      the runs of one workload: rankings, learning rates, times to targets, curves
comparison    what is compared with what, and what is found; all decisions are made here
verdict       what was found, in sentences
"""
