"""What the audit of the data has found, as a page and as columns of a run."""

from collections.abc import Sequence

from pipelines.evaluation.audit import KINDS
from pipelines.splits import Finding, Splits
from tuning.reports.run_card import escape


def audit_page(splits: Splits) -> str:
    """Return the findings with their examples and what helps, as Markdown."""
    parts = ", ".join(f"{part} {count:,}" for part, count in splits.sizes().items())
    lines = [
        f"# Audit of {escape(splits.dataset)}",
        "",
        f"Digest {splits.digest}: {parts}.",
        "",
    ]
    for finding in splits.findings:
        lines += [f"## {escape(finding.sentence)}", "", f"{escape(finding.advice)}.", ""]
        lines += [f"- {escape(example)}" for example in finding.shown]
        if finding.count > len(finding.shown) > 0:
            lines.append(f"- and {finding.count - len(finding.shown):,} more")
        lines.append("")
    if not splits.findings:
        lines += ["Nothing was found.", ""]
    lines += ["Looked for, as far as this kind of data has it:", ""]
    lines += [f"- {what}" for what in KINDS.values()]
    return "\n".join(lines) + "\n"


def audit_metrics(findings: Sequence[Finding]) -> dict[str, float]:
    """Return the columns `audit/findings`, and for each kind how many examples are concerned."""
    metrics: dict[str, float] = {"audit/findings": len(findings)}
    for finding in findings:
        name = f"audit/{finding.kind}"
        metrics[name] = metrics.get(name, 0) + finding.count
    return metrics
