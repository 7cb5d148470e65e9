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
        "seeds but the scored one.",
    ),
    (
        "Paired seeds",
        "The same seed gives every initializer the same order of the data and the same random stream for each "
        "parameter, so that initializers are compared seed by seed.",
    ),
    (
        "Difference, p",
        "Mean over tasks of the mean over seeds of paired differences, with a studentized bootstrap interval; "
        "p by the exact sign-flip permutation test, studentized where there are several tasks, corrected after Holm "
        "for all pairs of initializers.",
    ),
    (
        "Probability of being best",
        "The share of bootstrap resamples of the seeds in which the initializer has the highest mean. It is "
        "no p value.",
    ),
    (
        "Interquartile mean",
        "The mean without the lowest and highest quarter of all runs, with a bootstrap over seeds within "
        "tasks (Agarwal et al., 2021).",
    ),
    (
        "Steps to a target",
        "To the first evaluation at which validation accuracy reaches it. Runs that never do are censored, "
        "not dropped: in a median they count as never.",
    ),
    (
        "Seconds",
        "Of training, with those of the initialization; evaluation is not counted.",
    ),
)
