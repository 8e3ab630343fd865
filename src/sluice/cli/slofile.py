"""``sluice slo validate | export | init``: the SLO file itself."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from sluice.cli.exits import WrongUsage
from sluice.cli.options import OutputOption, seconds
from sluice.cli.output import Output, emit, say, warn
from sluice.nouns import LATENCY_GRID_MS

if TYPE_CHECKING:
    from sluice.spec import SLO

Files = Annotated[
    list[str], typer.Option("--file", "-f", metavar="FILE", help="YAML with SLOs; - is stdin.")
]


class Target(StrEnum):
    """Whose words an SLO is exported in."""

    PROMETHEUSRULE = "prometheusrule"
    SLOTH = "sloth"
    PYRRA = "pyrra"
    K6 = "k6"


class Callers(StrEnum):
    """Who asks the model API."""

    PEOPLE = "people"
    JOBS = "jobs"


def validate(files: Files, output: OutputOption = Output.TABLE) -> None:
    """Check an SLO file: every fault with file, line, path and what to do.

    Says what each SLO means, in words and in requests.
    """
    from sluice.slo.alerts import window_days

    slos = _slos(files)
    lines = [
        f"{slo.name}: {100 * slo.target:.6g}% of the requests of {slo.spec.service} "
        + (f"within {slo.threshold_ms} ms" if slo.threshold_ms else "answered below 500")
        + f", budget over {window_days(slo):g} days; no fault"
        for slo in slos
    ]
    emit(output, {"slos": [slo.name for slo in slos]}, lambda _: Text("\n".join(lines)))


def export(
    files: Files,
    to: Annotated[Target, typer.Option("--to", help="Whose words.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of what is written.")
    ] = "sluice-slos",
    rules_only: Annotated[
        bool,
        typer.Option("--rules-only", help="prometheusrule: a rule file instead of a resource."),
    ] = False,
) -> None:
    """Write SLOs for other tools: alert rules on several windows, Sloth, Pyrra, k6 thresholds.

    YAML on stdout. The queries ask the router's own counters, the same that checks read.
    """
    import yaml

    from sluice.slo.alerts import rule_groups
    from sluice.slo.export import FORMATS

    slos = _slos(files)
    if rules_only and to is not Target.PROMETHEUSRULE:
        raise WrongUsage("--rules-only belongs to --to prometheusrule")
    written = [rule_groups(slos)] if rules_only else FORMATS[to](slos, name)
    sys.stdout.write(yaml.safe_dump_all(written, sort_keys=False, width=1000, allow_unicode=True))


def init(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the release.")
    ] = None,
    rps: Annotated[
        float | None, typer.Option("--rps", metavar="RATE", help="Requests a second, at most.")
    ] = None,
    latency: Annotated[
        str | None,
        typer.Option("--latency", metavar="SHARE:MS", help="Such as 99:300, 99% within 300 ms."),
    ] = None,
    availability: Annotated[
        float | None,
        typer.Option("--availability", metavar="PERCENT", help="Answered requests, such as 99.9."),
    ] = None,
    callers: Annotated[
        Callers | None, typer.Option("--callers", help="Who asks: people, or jobs.")
    ] = None,
    changes: Annotated[
        str | None,
        typer.Option("--changes", metavar="TIME", help="How often the data changes: 24h."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the three files.")
    ] = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
) -> None:
    """Write a first SLO file, load profile and release policy from requirements.

    What is not given as an option is asked for. The arithmetic is shown.
    """
    from sluice.slo.start import Needs, first_files
    from sluice.spec import load
    from sluice.spec.loader import Text as Written

    share, ms = _latency(_asked(latency, "Latency, as SHARE:MS (99:300 is 99% within 300 ms)"))
    needs = Needs(
        name=_asked(name, "Name of the release"),
        rps=_number(_asked(rps, "Requests per second at the busiest time"), "--rps", 1e6),
        latency_ms=ms,
        latency_share=share,
        availability=_percent(
            _asked(availability, "Percent of the requests that must be answered"), "--availability"
        ),
        callers=_callers(_asked(callers, "Who asks: people or jobs")),
        fresh_s=int(seconds(_asked(changes, "How often the data changes, such as 24h"))) or 1,
    )
    files = first_files(needs)
    texts = {
        folder / "slo.yaml": _yaml(*files.slos),
        folder / "policy.yaml": _yaml(files.policy),
        folder / "profile.yaml": _yaml(files.profile),
    }
    load([Written(text=t, name=str(p)) for p, t in texts.items() if p.name != "profile.yaml"])
    there = [str(path) for path in texts if path.exists()]
    if there and not force:
        raise WrongUsage(f"{', '.join(there)}: there already; --force overwrites")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUsage(f"{folder}: cannot be written: {error.strerror or error}") from error
    for line in files.arithmetic:
        say(line)
    say(f"written: {', '.join(map(str, texts))}")


def _slos(files: list[str]) -> "tuple[SLO, ...]":
    from sluice import spec  # slow to import

    slos = spec.load(files).slos
    if not slos:
        raise WrongUsage(f"{', '.join(files)}: holds no document of kind SLO")
    return slos


def _asked(given: Any, question: str) -> Any:
    if given is not None:
        return given
    if not sys.stdin.isatty():
        warn(f"{question}?")
    return typer.prompt(question)


def _number(value: Any, option: str, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number <= most:
        raise WrongUsage(f"{option} {value}: must be a number above 0")
    return number


def _percent(value: Any, option: str) -> float:
    number = _number(value, option, 100)
    if number >= 100:
        raise WrongUsage(f"{option} {value}: 100% leaves no error budget; such as 99.9")
    return float(f"{number / 100:.10g}")


def _callers(value: Any) -> str:
    try:
        return Callers(value).value
    except ValueError:
        raise WrongUsage(f"--callers {value}: must be people or jobs") from None


def _latency(value: Any) -> tuple[float, int]:
    share, colon, ms = str(value).partition(":")
    if not colon or not ms.isdecimal():
        raise WrongUsage(f"--latency {value}: write SHARE:MS, such as 99:300")
    if int(ms) not in LATENCY_GRID_MS:
        near = sorted(LATENCY_GRID_MS, key=lambda step: abs(step - int(ms)))[:2]
        raise WrongUsage(f"--latency {value}: the router counts {near[0]} ms or {near[1]} ms")
    return _percent(share, "--latency"), int(ms)


def _yaml(*documents: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump_all(documents, sort_keys=False, width=100, allow_unicode=True)
