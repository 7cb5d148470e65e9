"""How the numbers of a report are made, in words."""

METHODS = (
    (
        "Task",
        "All that is equal but initializer, learning rate and seed: a model, its data, its optimizer, its budget.",
    ),
    (
        "Score",
        "Accuracy on the test set, which is read once, at the end. A run that diverged scores chance, as its "
        "network predicts nothing; runs that failed or were refused have no score.",
    ),
    (
        "Learning rate",
        "Where there are several, each initializer is scored at the one with its best mean validation "
        "accuracy: over tuning seeds, which are not scored (experiment=tuned), or, in a plain grid, over all "
        "seeds but the scored one. Intervals and p values take the rate as given.",
    ),
    (
        "Paired seeds",
        "The same seed gives every initializer the same order of the data and the same random stream for each "
        "parameter, so that initializers are compared seed by seed.",
    ),
    (
        "Difference, p",
        "Mean over tasks of the mean over seeds of paired differences, with a studentized bootstrap interval; "
        "p by the sign-flip permutation test (exact up to 18 pairs, beyond them of 99,999 random flips), studentized "
        "where there are several tasks, corrected after Holm for all pairs of initializers. Both speak of new seeds "
        "of these tasks, not of other tasks; so do the average ranks.",
    ),
    (
        "Probability of being best",
        "The share of bootstrap resamples of the seeds in which the initializer has the highest mean. It is "
        "no p value.",
    ),
    (
        "Interquartile mean",
        "The mean without the lowest and highest quarter of all runs (rounded down: of three runs none is left out), "
        "with a bootstrap over seeds within tasks (Agarwal et al., 2021).",
    ),
    (
        "Steps to a target",
        "To the first evaluation at which validation accuracy reaches it. The target shown first is the hardest that "
        "half of some initializer's runs reached. Runs that never do are censored, not dropped: in a median they "
        "count as never, in the restricted mean as the whole budget. Where all runs agree, its interval is what so "
        "few need not have shown.",
    ),
    (
        "Seconds",
        "Of training, with those of the initialization; evaluation is not counted. Runs that shared a machine with "
        "other work, or with each other, took longer: steps are the clock to compare by.",
    ),
)
