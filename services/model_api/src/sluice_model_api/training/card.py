"""The model card that lies beside a bundle: what the model is for, and how good it is."""

from collections.abc import Mapping
from typing import Any

from sluice_model_api.training.taxi import Task, Version, describe_inputs


def model_card(task: Task, version: Version, model: Any, facts: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        task: What is predicted.
        version: Which version this is.
        model: The fitted model, for its kind.
        facts: What the manifest keeps as ``training``.
    """
    kind = "linear regression" if version == "1" else "gradient boosting"
    figures, others = facts["metrics"], facts["metrics_of_other_versions"]
    table = {version: figures, **others}
    lines = [
        f"# {task.name}, version {version}",
        "",
        f"{task.description}. A {kind} (`{type(model).__name__}`), predictions in {task.unit}.",
        "",
        "## Inputs",
        *(f"- {line}" for line in describe_inputs(task.inputs)),
        "",
        f"Feature function `{task.feature_function}`.",
        "",
        "## Data",
        f"{facts['data']} (sha256 `{facts['data_sha256']}`). Rows: {task.learnable}. Split by "
        "time; the last week was never trained on.",
        "",
        "| part | from | to | trips |",
        "|---|---|---|---|",
        *(
            f"| {part} | {facts[part]['from']} | {facts[part]['to']} | {facts[part]['rows']} |"
            for part in ("train", "test")
        ),
        "",
        "## Quality on the later week",
        f"| version | MAE ({task.unit}) | RMSE ({task.unit}) | R² |",
        "|---|---|---|---|",
        *(
            f"| {name}{' (this one)' if name == version else ''} | {row['mae']:.3f} | "
            f"{row['rmse']:.3f} | {row['r2']:.3f} |"
            for name, row in sorted(table.items())
        ),
        "",
        "## Limits",
        "One month of one year: seasons, holidays and later prices are unknown to it. Evaluation "
        "leaves out rows that break the rule above; scoring never does, because the rule looks "
        "at what is only known afterwards.",
        "",
        "Trip records: NYC Taxi and Limousine Commission, no warranty, modified as stated here."
        if "TLC" in facts["data"]
        else "The trips are generated: the figures say nothing about New York.",
        "",
    ]
    return "\n".join(lines)
