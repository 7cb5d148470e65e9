"""Scores on new data: runs and test samples as two crossed samples, each from a population of its own.

values: (runs, samples), the score of each run on each test sample. In the model

    y_ij = mean + run_i + sample_j + residual_ij

the residual is what a run gets right or wrong on a sample beyond how good the run is and how easy the sample is. All
runs see the same test samples, so the samples do not add to the variance between runs, but the residuals do: a run is
lucky on these samples. The variances are estimated from mean squares, without assuming that they are the same for
every sample: Var(run) = (MS_runs - MS_residual) / samples, where

    MS_runs / samples     = Var_i(mean_j y_ij)
    MS_residual / samples = the part of it that is due to the finite test set.

This is the same as [n^2 Var_i(mean_j y_ij) - sum_j Var_i(y_ij)] / (n (n - 1)), the mean covariance of two different
samples.

Sources: Jordan 2023, Calibrated Chaos (2304.01910), section 3, for runs and test sets; Searle, Casella & McCulloch
1992, Variance Components, section 4.7, for the mean squares.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, expit, logit, stdtrit

from initbench.analysis.statistics.blocks import Array, rounding


@dataclass(frozen=True)
class MeanSquares:
    """Those of values (runs, samples); NaN with a single run or sample."""

    mean: float
    of_runs: float
    of_samples: float
    residual: float
    runs: int
    samples: int

    @classmethod
    def of(cls, values: Array) -> "MeanSquares":
        runs, samples = values.shape
        mean = float(values.mean())
        if min(runs, samples) < 2:
            return cls(mean, math.nan, math.nan, math.nan, runs, samples)
        centered, slack = values - mean, rounding(np.abs(values).max())
        of_run, of_sample = (_without(slack, centered.mean(axis=axis)) for axis in (1, 0))
        by_run, by_sample = samples * float(of_run @ of_run), runs * float(of_sample @ of_sample)
        rest = max(float(np.square(centered).sum()) - by_run - by_sample, 0.0)
        degrees = (runs - 1) * (samples - 1)
        return cls(mean, by_run / (runs - 1), by_sample / (samples - 1), rest / degrees, runs, samples)


@dataclass(frozen=True)
class Intervals:
    """A mean with its interval for these test samples, and the one for new samples from where they came from."""

    mean: float
    low: float
    high: float
    new_low: float
    new_high: float


def intervals(values: Array, confidence: float = 0.95, *, are_shares: bool = False) -> Intervals:
    """The intervals of the mean of values (runs, samples), or of the differences of two initializers, seed by seed.

    For these samples, Student's t of the means of the runs. For new samples, where t has the degrees of freedom of the
    runs and of the samples,

        half width^2 = t_runs^2 MS_runs / n + t_samples^2 max(MS_samples - MS_residual, 0) / n,   n = runs * samples.

    The weighted sum of squared quantiles never gives too short an interval for independent normal means (Banerjee 1960,
    Approximate confidence interval for linear functions of means); Satterthwaite's degrees of freedom do, with few
    runs. The interval is never shorter than the first one. are_shares: the values are between 0 and 1, so that the
    interval is computed for the logit of the mean, by the delta method, because close to 1 it is not symmetric. It is
    NaN with a single run, and if all values are equal.

    For what they cover see docs/explanation/comparison.md.
    """
    squares = MeanSquares.of(values)
    mean, count = squares.mean, squares.runs * squares.samples
    if not squares.of_runs + squares.of_samples > 0:
        return Intervals(mean, math.nan, math.nan, math.nan, math.nan)
    tail = 0.5 + confidence / 2
    of_runs = float(stdtrit(squares.runs - 1, tail)) ** 2 * squares.of_runs / count
    of_samples = float(stdtrit(squares.samples - 1, tail)) ** 2 * max(squares.of_samples - squares.residual, 0) / count
    half, new_half = math.sqrt(of_runs), math.sqrt(of_runs + of_samples)
    low, high = mean - half, mean + half
    if not are_shares:
        return Intervals(mean, low, high, mean - new_half, mean + new_half)
    reach = new_half / (mean * (1 - mean))
    new_low, new_high = (float(expit(logit(mean) + sign * reach)) for sign in (-1, 1))
    return Intervals(mean, low, high, min(low, new_low), max(high, new_high))


def share_of_test_set(values: Array, confidence: float = 0.95) -> tuple[float, float, float]:
    """The share of the variance between runs that is due to the finite test set, and its interval.

    values: (initializers, runs, samples), runs of the same seeds. The share is MS_residual / MS_runs, with both summed
    over the initializers. MS_runs is about a chi-squared variable, whose degrees of freedom are those of Box (1954) for
    the sum of correlated variances: runs of one seed are alike. MS_residual has so many that it counts as known.

    NaN with a single run or sample, and if all runs are equal.
    """
    squares = [MeanSquares.of(of_init) for of_init in values]
    of_runs = sum(of.of_runs for of in squares)
    if not of_runs > 0:
        return math.nan, math.nan, math.nan
    share = sum(of.residual for of in squares) / of_runs
    covariances = np.atleast_2d(np.cov(values.mean(axis=2)))  # between initializers
    degrees = (values.shape[1] - 1) * np.trace(covariances) ** 2 / np.square(covariances).sum()
    low, high = (share * float(chdtri(degrees, 0.5 - sign * confidence / 2)) / degrees for sign in (-1, 1))
    return min(share, 1.0), min(low, 1.0), min(high, 1.0)


def _without(slack: Array, effects: Array) -> Array:
    """The effects with 0 for those that are 0 on paper."""
    return np.where(np.abs(effects) <= slack, 0.0, effects)
