"""How the numbers of a report are made, in words."""

from initbench.analysis.comparison.comparison import Comparison

# Terms that only apply to runs of initbench.
_OF_RECORDS = {"Score", "Learning rate", "Paired seeds", "Steps to a target", "Seconds"}
# Terms of tables that a race has not.
_OF_FIXED_SEEDS = {"The winner", "p", "What p is about", "Intervals of differences", "Best in resamples"}


def methods(comparison: Comparison) -> list[tuple[str, str]]:
    """The terms that the report of this comparison needs, with their meanings."""
    margin = comparison.margin_text
    level = f"{100 * comparison.races[0].course.rules.level:g}%" if comparison.races else ""
    omitted = {"Equal"} if not margin else set()
    if not comparison.runs["path"].notna().any():
        omitted |= _OF_RECORDS
    if not comparison.new_data:
        omitted.add("For new data")
    if not comparison.crossed:
        omitted.add("Where the noise comes from")
    if comparison.races:
        omitted |= _OF_FIXED_SEEDS
    else:
        omitted.add("The race")
    return [(term, meaning.format(margin=margin, level=level)) for term, meaning in _METHODS if term not in omitted]


_METHODS = (
    (
        "Workload",
        "All runs that differ only in initializer, learning rate and seed: one model, its data, its optimizer, its "
        "budget.",
    ),
    (
        "Score",
        "The metric on the test set, evaluated once, at the end. A run that diverged gets the chance level, because "
        "its network no longer predicts anything. Runs that failed or were refused have no score; in a race, a run "
        "that failed scores chance, too.",
    ),
    (
        "Runs that learned",
        "Runs that did not diverge and whose score is at least a twentieth of the way from the chance level to a "
        "perfect score. Where some did not, a mean with Student's interval is misleading: tables give the share "
        "that did, with its exact interval, and the interquartile mean of all.",
    ),
    (
        "Learning rate",
        "Where there are several, each initializer is scored at the one with its best mean validation score: chosen "
        "by tuning seeds, which are not scored (experiment=tuned), or, in a plain grid, by all seeds except the "
        "scored one. In a complete grid p is still exact: for each seed, all runs of two initializers are swapped "
        "at once, and the rates are chosen again; intervals and equality hold at the chosen rates. Where only the "
        "chosen rates were run, p holds at them, too.",
    ),
    (
        "Paired seeds",
        "The same seed gives every initializer the same order of the data and the same random stream for each "
        "parameter, so initializers are compared seed by seed.",
    ),
    (
        "The race",
        "Each round ran the next seeds of the initializers that were still in. One is out as soon as another that is "
        "in beats it by sign flips that account for all looks, or is far better in every run at the first look, each "
        "at a level divided by the number of rivals. So the procedure drops the best one in at most {level} of races. "
        "Who is out is not thereby shown to be worse than the others that are out. See docs/explanation/race.md.",
    ),
    (
        "The winner",
        "An initializer is named the best if its p is below 0.05 against every other (rank verification, Hung and "
        "Fithian, 2019). As all of these tests have to succeed, the number of rivals needs no correction, and six "
        "seeds can suffice. The tests are two-sided because the winner was picked by its results. "
        "'Better than these' is Holm-corrected over all pairs. A reference is compared with each of the others and "
        "corrected for these comparisons only.",
    ),
    (
        "p",
        "Sign-flip permutation test of the paired differences, averaged over the seeds of each workload and then over "
        "the workloads. The runs of one seed change sign together on all workloads, because they may share initial "
        "weights and batches, so what counts is the number of seeds. It is exact up to 18 seeds; with more, it uses "
        "49,999 random flips. It tests whether two initializers are alike. If their means are equal but one is more "
        "skewed, it finds a difference too often; if a test that allows for skewness (bootstrap-t) does not confirm a "
        "winner, the verdict says so.",
    ),
    (
        "What p is about",
        "New seeds on these workloads and the same evaluation data. It says nothing about other workloads, nor about "
        "another sample of the data, whose own noise is often larger than that of a mean over seeds. The error rate "
        "of 5% is that of one look at a number of seeds fixed beforehand; each further look, with more seeds, has half "
        "the level of the one before.",
    ),
    (
        "For new data",
        "Runs keep the value of each test sample. Intervals 'for these samples' are Student's t over seeds; those 'for "
        "new samples' treat runs and samples as two crossed random samples. Unless another test set is drawn, only "
        "the second kind says how an initializer does on data that nobody has seen. "
        "See docs/explanation/comparison.md.",
    ),
    (
        "Where the noise comes from",
        "Sources of randomness were crossed: each seed of one with each seed of the others. The shares are estimates "
        "of variance components, with generalized confidence intervals, and add up to 100%. What the runs owe to luck "
        "on the test samples is a share of its own. Such runs share seeds, so initializers are not compared by them.",
    ),
    (
        "Intervals of differences",
        "Student's t of paired differences at a level divided by the number of pairs (Bonferroni), so that they "
        "hold for all pairs at once. An interval may contain 0 although the winner is verified, because verifying "
        "the winner needs no such correction; and it may exclude 0 although no difference is shown, because it "
        "assumes normal differences and p does not. The sentences follow p.",
    ),
    (
        "Equal",
        "Two one-sided tests show that the difference is smaller than the margin ({margin}). 'No difference was shown' "
        "does not mean that. Claims of equality have their own error rate of 5%.",
    ),
    (
        "Best in resamples",
        "The share of bootstrap resamples of the seeds in which the initializer has the best mean, from ten seeds "
        "on. It is not a p value.",
    ),
    (
        "Interquartile mean",
        "The mean without the lowest and highest quarter of all runs (rounded down: three runs keep all), with a "
        "bootstrap over seeds within workloads (Agarwal et al., 2021).",
    ),
    (
        "Steps to a target",
        "The target is the highest in data.targets that at least half the runs of some initializer reached; if "
        "there is none, the highest that any run reached. It is checked every data.val_every_n_steps steps, so a "
        "time is known as an interval between two evaluations. Runs that never reach it are censored, not dropped: "
        "in a median they count as never, in the restricted mean as the last evaluation. The log-rank tests are "
        "corrected for all pairs, targets and workloads together or, to name the fastest of all, for targets and "
        "workloads.",
    ),
    (
        "Seconds",
        "Time of training and initialization, without evaluation. Runs that shared a machine with each other or with "
        "other programs took longer; compare steps instead.",
    ),
)
