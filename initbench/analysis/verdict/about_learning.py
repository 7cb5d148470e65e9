"""Which initializers' runs learned anything, in sentences."""

from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.verdict.sentence import Sentence, join
from initbench.wording import count


def all_failed(comparison: Comparison, findings: Findings) -> bool:
    """Whether no run learned anything or, if that is not known, whether no run has a finite score."""
    is_known = comparison.metric.perfect is not None
    rankings = [ranking for ranking in comparison.rankings if ranking.workload in findings.workloads]
    tables = [ranking.table.loc[list(findings.scores.columns)] for ranking in rankings]
    failed = [table["learned"] == 0 if is_known else table["diverged"] == table["scored"] for table in tables]
    return all(bool(of.all()) for of in failed)


def about_learning(comparison: Comparison) -> Iterator[Sentence]:
    """On which workloads no run of an initializer learned anything, and where it depended on the seed."""
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    failed_altogether = [of.workloads for of in comparison.findings if all_failed(comparison, of)]
    said = {workload for workloads in failed_altogether for workload in workloads}
    for ranking in comparison.rankings:
        if ranking.workload not in compared - said:
            continue
        where = f" ({comparison.short_names[ranking.workload]})" if len(compared) > 1 else ""
        table = ranking.table[ranking.table["scored"] > 0]
        mixed = table[(table["learned"] > 0) & (table["learned"] < table["scored"])]
        each = [f"{row['learned']:.0f} of {count(row['scored'], 'run')} of {init}" for init, row in mixed.iterrows()]
        if ranking.of_records:
            if len(mixed):
                text = f"Whether a run learned anything depended on the seed: {join(each)} did{where}."
                yield Sentence("learned", text)
            if len(none := table.index[table["learned"] == 0]):
                which = "any initializer" if len(none) == len(table) else join(none, "or")
                yield Sentence("learned", f"No run of {which} learned anything{where}.")
        elif len(failed := table[table["diverged"] > 0]):
            each = [
                f"{row['diverged']:.0f} of {count(row['scored'], 'run')} of {init}" for init, row in failed.iterrows()
            ]
            yield Sentence(
                "learned", f"Runs without a finite score count as {ranking.failures_count_as}: {join(each)}{where}."
            )
