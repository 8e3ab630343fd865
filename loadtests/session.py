"""What ties the open model to locust's life: options, several processes, the file, the verdict."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, events
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from loadtests.arrivals import Arrivals, OpenUser
from loadtests.profiles import Profile, load_profile
from loadtests.record import Counts
from sluice.analysis.load import LoadRules, LoadVerdict, certain_failure, judge
from sluice.analysis.loadrun import LoadRun
from sluice.errors import SluiceError
from sluice.nouns import Objective, VerdictKind
from sluice.reports import document

COUNTS = "sluice-counts"
BEGIN = "sluice-begin"
END = "sluice-end"
CODES = {
    VerdictKind.PASSED: 0,
    VerdictKind.FAILED: 1,
    VerdictKind.INCONCLUSIVE: 2,
    VerdictKind.INVALID: 3,
    VerdictKind.ERROR: 3,
}
_USERS_PER_PROCESS = 10
_SEND_S = 1.0
_PATIENCE_S = 3.0
_GRACE_S = 10.0


class Session:
    """One locust process: workers make arrivals, the master merges and judges, a lone one both."""

    def __init__(
        self, environment: Any, profile: Profile | None, objectives: tuple[Objective, ...]
    ):
        self.environment, self.profile, self.objectives = environment, profile, objectives
        options = environment.parsed_options
        self.options = options
        self.rules = LoadRules(late_ms=options.late_ms)
        self.arrivals = Arrivals(environment, max_in_flight=options.max_in_flight)
        environment.sluice_arrivals = self.arrivals
        self.merged = Counts()
        self.begun_s = 0.0
        self.stopped_early = ""
        self.told = False
        """A person, or who started it, has seen enough."""
        self._over = False
        self._index, self._of, self._ended = 0, 1, 0
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            runner.register_message(BEGIN, self._told)
            runner.register_message(END, self._stopping)
        if isinstance(runner, MasterRunner):
            runner.register_message(COUNTS, self._heard)
        environment.events.test_start.add_listener(self._start)
        environment.events.spawning_complete.add_listener(self._spawned)
        environment.events.test_stopping.add_listener(self._stopping)
        environment.events.test_stop.add_listener(self._stop)

    @property
    def processes(self) -> int:
        runner = self.environment.runner
        return runner.worker_count if isinstance(runner, MasterRunner) else 1

    def interrupted(self, *_: object) -> None:
        """End with the counts so far; the second time at once.

        Locust's own way throws into whatever runs at that moment, which may lose the counts, and a
        shell's background jobs would ignore the signal.
        """
        if self.told:
            raise KeyboardInterrupt
        self.told = True

    # --- from start to stop ---

    def _start(self, **_: Any) -> None:
        runner = self.environment.runner
        self.merged, self.begun_s, self.stopped_early = Counts(), 0.0, ""
        self.arrivals.counts.take()
        self._over = False
        if isinstance(runner, MasterRunner):
            self._of, self._ended = len(runner.clients), 0
            for index, client in enumerate(sorted(runner.clients)):
                runner.send_message(BEGIN, {"index": index, "of": self._of}, client)
        if not isinstance(runner, WorkerRunner):
            gevent.spawn(self._watch)
        if isinstance(runner, WorkerRunner):
            gevent.spawn(self._report)
        if self.profile is None:
            self._begin()

    def _told(self, msg: Any, **_: Any) -> None:
        self._index, self._of = msg.data["index"], msg.data["of"]

    def _spawned(self, **_: Any) -> None:
        if self.profile is not None:
            self._begin()

    def _begin(self) -> None:
        if not self.begun_s:
            self.begun_s = time.time()
        if not isinstance(self.environment.runner, MasterRunner):
            self.arrivals.begin(self.profile, index=self._index, of=self._of)

    def _stopping(self, **_: Any) -> None:
        runner = self.environment.runner
        if isinstance(runner, MasterRunner):
            # locust tells its workers only after test_stop: what is under way would be missing
            for client in list(runner.clients):
                runner.send_message(END, {}, client)
        elif not self._over:
            self._over = True
            self.arrivals.end(patience_s=self._patience_s())
            self._send(last=True)

    def _stop(self, **_: Any) -> None:
        if isinstance(self.environment.runner, WorkerRunner):
            return
        self._await_workers()
        run = self.run()
        if self.options.run_file:
            path = Path(self.options.run_file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(document.dump_json(run))
        verdict = self.verdict()
        if verdict is not None:
            sys.stderr.write(f"{verdict.kind}: {verdict.reason}\n")
            self.environment.process_exit_code = CODES[verdict.kind]

    def _await_workers(self) -> None:
        if not isinstance(self.environment.runner, MasterRunner):
            return
        until = time.monotonic() + self._patience_s()
        while self._ended < self._of and time.monotonic() < until:
            gevent.sleep(0.05)

    def _patience_s(self) -> float:
        classes = [c for c in self.environment.user_classes if issubclass(c, OpenUser)]
        return max([c.network_timeout for c in classes], default=0.0) + _PATIENCE_S

    # --- counts from all processes in one place ---

    def _report(self) -> None:
        while True:
            gevent.sleep(_SEND_S)
            self._send()

    def _send(self, *, last: bool = False) -> None:
        runner, taken = self.environment.runner, self.arrivals.counts.take()
        if isinstance(runner, WorkerRunner):
            begun_s = self.arrivals.begun_wall_s
            runner.send_message(COUNTS, {**taken, "begun_s": begun_s, "last": last})
        else:
            self.merged.add(taken)

    def _heard(self, msg: Any, **_: Any) -> None:
        self.merged.add(msg.data)
        self._ended += bool(msg.data["last"])
        if msg.data["begun_s"] and not self.begun_s:
            self.begun_s = msg.data["begun_s"]

    # --- what is known now ---

    def run(self) -> LoadRun:
        """The counts so far."""
        if isinstance(self.environment.runner, LocalRunner):
            self._send()
        elapsed_s = max(0.001, time.time() - self.begun_s) if self.begun_s else 0.001
        cells = self.merged.cells
        if self.profile is not None:
            duration_s = min(elapsed_s, self.profile.duration_s)
            asked = self.profile.asked * min(1.0, duration_s / self.profile.duration_s)
            if (
                elapsed_s < self.profile.duration_s
            ):  # a rate that changes: what came is what was due
                asked = sum(cell["total"] for cell in cells.values())
        else:
            duration_s = 1.0 + max((at for at, _ in cells), default=0)
            asked = float(sum(cell["total"] for cell in cells.values()))
        return self.merged.run(
            url=self.environment.host or "",
            profile=str(self.profile) if self.profile else "users, one request per second each",
            started_ms=round((self.begun_s or time.time()) * 1000),
            duration_s=duration_s,
            slice_s=self.profile.slice_s if self.profile else 1.0,
            asked=asked,
            processes=self.processes,
        )

    def verdict(self) -> LoadVerdict | None:
        """What the counts so far say; None without objectives."""
        return judge(self.run(), self.objectives, self.rules) if self.objectives else None

    def _watch(self) -> None:
        while not self.stopped_early:
            gevent.sleep(1.0)
            if self.environment.runner.state in ("stopping", "stopped", "cleanup"):
                return
            if self.options.stop_early and self.objectives:
                self._look()

    def _look(self) -> None:
        run = self.run()
        for objective in self.objectives:
            # the last slices still wait for answers: what is missing there is not good
            series = run.series(objective)[: -max(1, round(2 / run.slice_s))]
            if certain_failure(series, objective, alpha=self.rules.early_alpha):
                self.stopped_early = f"{objective.name} fails for certain: stopped early"
                sys.stderr.write(self.stopped_early + "\n")
                gevent.spawn(self.environment.runner.quit)
                return


class ProfileShape(LoadTestShape):
    """Users that wait for arrivals, for as long as the profile lasts."""

    abstract = True

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def tick(self) -> tuple[int, float] | None:
        """Users and spawn rate; None when the profile is over."""
        session = self._session
        if session.stopped_early or session.told:
            return None
        if session.begun_s and session.profile is not None:
            if time.time() > session.begun_s + session.profile.duration_s:
                return None
        elif self.get_run_time() > _GRACE_S * 6:
            return None
        users = _USERS_PER_PROCESS * session.processes
        return users, float(users)


@events.init_command_line_parser.add_listener
def _options(parser: Any, **_: Any) -> None:
    add = parser.add_argument
    add("--traffic", default="", env_var="PROFILE", help="traffic profile: a name or a YAML file")
    add("--rate", type=float, default=0.0, env_var="RATE", help="highest rate of the profile")
    add("--length", default="", env_var="LENGTH", help="how long the profile lasts, such as 2m")
    add("--slo", action="append", default=[], env_var="SLO", help="file with SLOs to judge by")
    add("--threshold", action="append", default=[], help='k6 threshold such as "p(95)<200"')
    add("--run-file", default="", help="file for the raw counts (JSON)")
    add("--stop-early", action="store_true", default=False, help="stop when it fails for certain")
    add("--late-ms", type=int, default=10, help="arrivals begun later than this are late")
    add("--max-in-flight", type=int, default=1000, help="requests under way, for each process")


@events.init.add_listener
def _init(environment: Any, **_: Any) -> None:
    from loadtests.asked import objectives_of, seconds_of  # pydantic is slow to import

    options = environment.parsed_options
    try:
        objectives = objectives_of(options.slo, options.threshold)
        profile = (
            load_profile(
                options.traffic,
                rate=options.rate or None,
                duration_s=seconds_of(options.length) if options.length else None,
            )
            if options.traffic
            else None
        )
    except SluiceError as error:
        sys.stderr.write(f"load: {error}\n")
        sys.exit(64)
    environment.stop_timeout = 0
    environment.sluice_session = session = Session(environment, profile, objectives)
    if profile is not None and not isinstance(environment.runner, WorkerRunner):
        signal.signal(signal.SIGINT, session.interrupted)
        environment.shape_class = ProfileShape(session)
        environment.shape_class.runner = environment.runner
    if environment.web_ui is not None:
        from loadtests.live import add_page

        add_page(environment.web_ui.app, session)
