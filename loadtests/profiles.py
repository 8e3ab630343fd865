"""Traffic profiles: how many requests per second are asked for at each moment."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from sluice.errors import Fault, SpecError
from sluice.spec.scalars import parse_duration
from sluice.spec.words import nearest

FOLDER = Path(__file__).parent / "profiles"
KINDS = ("constant", "ramp", "spike", "diurnal", "steps", "replay")
_INTEGRATION_STEPS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request of a recorded log."""

    at_s: float
    """Seconds after the first one."""
    path: str = ""
    """Path that was asked; empty: that of the load test."""
    body: str = ""
    """Body that was sent; empty: one of the load test's."""
    user: str = ""
    """Key of the user; empty: drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Asked rate over time, or the requests of a log with their timing."""

    name: str
    kind: str
    duration_s: float
    rate: Callable[[float], float]
    """Requests per second at a moment, seconds after the start; unused for ``replay``."""
    arrivals: Literal["poisson", "constant"] = "poisson"
    """``poisson``: as independent users come. ``constant``: evenly spaced."""
    recorded: tuple[Recorded, ...] = ()

    @property
    def asked(self) -> float:
        """Requests that the profile asks for on average."""
        if self.kind == "replay":
            return float(len(self.recorded))
        step = self.duration_s / _INTEGRATION_STEPS
        return step * math.fsum(self.rate((i + 0.5) * step) for i in range(_INTEGRATION_STEPS))

    @property
    def slice_s(self) -> float:
        """Length of a time slice of the raw counts: sixty a run, from 0.1 to 1 s."""
        return min(1.0, max(0.1, self.duration_s / 60))

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}, {self.arrivals} arrivals, {self.duration_s:g} s)"


def constant(
    rate: float, duration_s: float, arrivals: Literal["poisson", "constant"] = "poisson"
) -> Profile:
    """One rate all the time."""
    return Profile(
        name=f"{rate:g} rps",
        kind="constant",
        duration_s=duration_s,
        rate=lambda _: rate,
        arrivals=arrivals,
    )


def known() -> tuple[str, ...]:
    """Names of the profiles that come with the project."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_profile(
    name: str, *, rate: float | None = None, duration_s: float | None = None
) -> Profile:
    """Read a profile.

    Args:
        name: One of ``known()``, or the path of a YAML file.
        rate: Scales the profile so that its highest rate is this, requests per second.
        duration_s: Stretches it over so many seconds.

    Raises:
        SpecError: no such profile, or something in it makes no sense; says what to write.
    """
    path = FOLDER / f"{name}.yaml"
    if not path.exists():
        path = Path(name)
    if not path.exists():
        reason = f'"{name}" is neither a profile ({", ".join(known())}) nor a file'
        raise SpecError([Fault(path="profile", reason=reason + nearest(name, known()))])
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise SpecError([Fault(path="file", reason=f"is no YAML: {error}", file=name)]) from error
    if not isinstance(document, dict):
        reason = "must be an object with kind, such as {kind: constant, rate: 50, duration: 1m}"
        raise SpecError([Fault(path="file", reason=reason, file=name)])
    profile = _Reader(document, name=path.stem, file=name, folder=path.parent).profile()
    return _scaled(profile, rate, duration_s)


def _scaled(profile: Profile, rate: float | None, duration_s: float | None) -> Profile:
    if rate is None and duration_s is None:
        return profile
    if profile.kind == "replay":
        reason = "keeps its own timing: use speed in the profile instead of --rate and --duration"
        raise SpecError([Fault(path="profile", reason=f"{profile.name} {reason}")])
    slower = 1.0 if duration_s is None else duration_s / profile.duration_s
    peak = max(profile.rate(profile.duration_s * i / 1000) for i in range(1001))
    higher = 1.0 if rate is None else rate / peak
    return Profile(
        name=profile.name,
        kind=profile.kind,
        duration_s=profile.duration_s * slower,
        rate=lambda at: higher * profile.rate(at / slower),
        arrivals=profile.arrivals,
    )


class _Reader:
    """One document; every fault of it at once."""

    def __init__(self, raw: Mapping[str, Any], *, name: str, file: str, folder: Path) -> None:
        self._raw, self._name, self._file, self._folder = raw, name, file, folder
        self._used = {"kind", "arrivals", "name"}
        self._faults: list[Fault] = []

    def profile(self) -> Profile:
        kind = self._raw.get("kind")
        if kind not in KINDS:
            hint = nearest(str(kind), KINDS)
            self._fault("kind", f"must be one of {', '.join(KINDS)}, not {kind!r}{hint}")
            raise SpecError(self._faults)
        arrivals = self._raw.get("arrivals", "poisson")
        if arrivals not in ("poisson", "constant"):
            self._fault("arrivals", f"must be poisson or constant, not {arrivals!r}")
            arrivals = "poisson"
        duration_s, rate, recorded = getattr(self, f"_{kind}")()
        for key in self._raw:
            if key not in self._used:
                hint = nearest(str(key), sorted(self._used))
                self._fault(str(key), f"is not a field of {kind}{hint}")
        if self._faults:
            raise SpecError(self._faults)
        return Profile(
            name=str(self._raw.get("name", self._name)),
            kind=str(kind),
            duration_s=duration_s,
            rate=rate,
            arrivals=arrivals,
            recorded=recorded,
        )

    def _constant(self) -> tuple[float, Callable[[float], float], tuple[Recorded, ...]]:
        rate = self._number("rate")
        return self._time("duration"), lambda _: rate, ()

    def _ramp(self) -> tuple[float, Callable[[float], float], tuple[Recorded, ...]]:
        low, high, duration = self._number("from"), self._number("to"), self._time("duration")
        return duration, lambda at: low + (high - low) * min(1.0, at / duration), ()

    def _spike(self) -> tuple[float, Callable[[float], float], tuple[Recorded, ...]]:
        base, peak = self._number("base"), self._number("peak")
        begin, length = self._time("at"), self._time("length")
        duration = self._time("duration")
        return duration, lambda at: peak if begin <= at < begin + length else base, ()

    def _diurnal(self) -> tuple[float, Callable[[float], float], tuple[Recorded, ...]]:
        low, high, day = self._number("low"), self._number("high"), self._time("day")

        def rate(at: float) -> float:
            return low + (high - low) * (1.0 - math.cos(2.0 * math.pi * at / day)) / 2.0

        return self._time("duration"), rate, ()

    def _steps(self) -> tuple[float, Callable[[float], float], tuple[Recorded, ...]]:
        first, by, each = self._number("from"), self._number("by"), self._time("each")
        count = int(self._number("steps"))
        return count * each, lambda at: first + by * min(count - 1, int(at / each)), ()

    def _replay(self) -> tuple[float, Callable[[float], float], tuple[Recorded, ...]]:
        speed = self._number("speed", 1.0) or 1.0
        self._used.add("log")
        path = self._folder / str(self._raw.get("log", ""))
        recorded: list[Recorded] = []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            self._fault("log", f"{path} cannot be read: name a file of JSON lines")
            return 1.0, lambda _: 0.0, ()
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                user, body = str(entry.get("user", "")), entry.get("body", "")
                text = body if isinstance(body, str) else json.dumps(body)
                at_s, path_ = float(entry["at"]) / speed, str(entry.get("path", ""))
            except (ValueError, KeyError, TypeError, AttributeError):
                reason = f'line {number} needs {{"at": SECONDS}}, and may have path, body, user'
                self._fault("log", reason)
                break
            recorded.append(Recorded(at_s=at_s, path=path_, body=text, user=user))
        recorded.sort(key=lambda entry: entry.at_s)
        if not recorded and not self._faults:
            self._fault("log", f"{path} has no line")
        begin = recorded[0].at_s if recorded else 0.0
        moved = tuple(
            Recorded(at_s=r.at_s - begin, path=r.path, body=r.body, user=r.user) for r in recorded
        )
        return (moved[-1].at_s + 0.001 if moved else 1.0), lambda _: 0.0, moved

    def _number(self, key: str, default: float | None = None) -> float:
        self._used.add(key)
        value = self._raw.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e7:
            self._fault(key, f"must be a number from 0 on, not {value!r}")
            return 1.0
        return float(value)

    def _time(self, key: str) -> float:
        self._used.add(key)
        try:
            ms = parse_duration(self._raw.get(key))
        except ValueError as error:
            self._fault(key, str(error))
            return 1.0
        if ms == 0:
            self._fault(key, "must be longer than 0s")
        return max(ms, 1) / 1000

    def _fault(self, path: str, reason: str) -> None:
        self._faults.append(Fault(path=path, reason=reason, file=self._file))
