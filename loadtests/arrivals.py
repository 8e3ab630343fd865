"""Arrivals of one process: made by one clock, however the server is doing, and counted."""

import inspect
import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gevent.local import local
from gevent.pool import Pool
from locust import FastHttpUser, TaskSet
from locust.user.users import logger

from loadtests.profiles import Profile, Recorded
from loadtests.record import Counts
from sluice.analysis.latency import bucket_of

VERSION_HEADER = "x-sluice-version"
_SLICE_S = 1.0
_STEP_S = 0.02
_YIELD_EVERY_S = 0.01


class Arrival(local):
    """What the running greenlet must know of the arrival that it serves."""

    due_wall_s: float = 0.0
    """When it was due, UNIX seconds; 0: this greenlet serves none."""
    fresh: bool = False
    """No request of it has been sent: the first one bears the wait."""
    recorded: Recorded | None = None


arrival = Arrival()


class Arrivals:
    """Makes the arrivals of one process and counts what becomes of them."""

    def __init__(self, environment: Any, *, max_in_flight: int) -> None:
        self._environment = environment
        self._users: list[OpenUser] = []
        self._pool = Pool(max_in_flight)
        self._maker: Any = None
        self._sampler: Any = None
        self._random = random.Random()  # noqa: S311  # arrivals, not secrets
        self._begun = 0.0
        self._slice_s = _SLICE_S
        self.counts = Counts()
        self.begun_wall_s = 0.0
        """UNIX seconds at which slice 0 began; 0: not yet."""

    # --- users come and go ---

    def join(self, user: "OpenUser") -> None:
        """A user of this process can be given arrivals from now on."""
        wrong = [t for t in user.tasks if inspect.isclass(t) and issubclass(t, TaskSet)]
        if wrong:
            raise ValueError(
                f"{type(user).__name__}: an open user has no TaskSet ({wrong[0].__name__}): an "
                "arrival is one task, write it as a method with @task"
            )
        self._users.append(user)

    def leave(self, user: "OpenUser") -> None:
        """A user has stopped."""
        if user in self._users:
            self._users.remove(user)

    # --- the clock ---

    def begin(self, profile: Profile | None, *, index: int = 0, of: int = 1) -> None:
        """Start to make arrivals.

        Args:
            profile: What is asked; None: one request per second for each running user.
            index: Number of this process, from 0.
            of: How many processes share the profile.
        """
        if self._maker is not None:
            return
        self._begun, self.begun_wall_s = time.perf_counter(), time.time()
        self._slice_s = profile.slice_s if profile is not None else _SLICE_S
        if profile is None:
            make = gevent.spawn(self._by_rate, lambda _: float(len(self._users)), None, True)
        elif profile.recorded:
            make = gevent.spawn(self._by_log, profile.recorded[index::of])
        else:
            even = profile.arrivals == "constant"
            make = gevent.spawn(
                self._by_rate, lambda at: profile.rate(at) / of, profile.duration_s, not even
            )
        self._maker, self._sampler = make, gevent.spawn(self._sample_cpu)

    def end(self, *, patience_s: float) -> None:
        """No more arrivals; wait for those under way, which are counted like all others."""
        if self._maker is None:
            return
        self._maker.kill()
        self._pool.join(timeout=patience_s)
        self._sampler.kill()
        self._maker = None

    def _by_rate(
        self, rate: Callable[[float], float], until_s: float | None, poisson: bool
    ) -> None:
        # The next arrival is due when the integral of the rate has grown by a drawn amount, so
        # that a rate that changes in between is followed and not sampled.
        at = 0.0
        left = self._draw() if poisson else self._random.random()
        while until_s is None or at < until_s:
            now = rate(at + _STEP_S / 2)
            if now * _STEP_S < left:
                left -= now * _STEP_S
                at += _STEP_S
                self._wait_until(at)
                continue
            at += left / now
            left = self._draw() if poisson else 1.0
            if until_s is not None and at >= until_s:
                return
            self._wait_until(at)
            self._arrive(at, None)

    def _by_log(self, recorded: tuple[Recorded, ...]) -> None:
        for entry in recorded:
            self._wait_until(entry.at_s)
            self._arrive(entry.at_s, entry)

    def _draw(self) -> float:
        return self._random.expovariate(1.0)

    def _wait_until(self, at: float) -> None:
        ahead = self._begun + at - time.perf_counter()
        gevent.sleep(max(0.0, ahead))  # 0 lets those who read answers have their turn

    def _sample_cpu(self) -> None:
        used, seen = time.process_time(), time.perf_counter()
        while True:
            gevent.sleep(max(self._slice_s, 0.5))
            now_used, now = time.process_time(), time.perf_counter()
            at = int((seen - self._begun) / self._slice_s)
            self.counts.busy(at, (now_used - used) / (now - seen))
            used, seen = now_used, now

    # --- one arrival ---

    def slice_of(self, due_wall_s: float) -> int:
        """The slice in which a request was due."""
        return max(0, int((due_wall_s - self.begun_wall_s) / self._slice_s))

    def _arrive(self, at: float, recorded: Recorded | None) -> None:
        if not self._users:
            return  # between two users of a ramp: nobody is there to whom it could come
        if self._pool.full():
            self.counts.dropped(int(at / self._slice_s))
            self._environment.events.request.fire(
                request_type="",
                name="dropped",
                response_time=0,
                response_length=0,
                exception=RuntimeError("never sent: every slot waits for an answer"),
                context={},
            )
            return
        user = self._random.choice(self._users)
        self._pool.spawn(self._serve, user, at, recorded)

    def _serve(self, user: "OpenUser", at: float, recorded: Recorded | None) -> None:
        late_s = time.perf_counter() - self._begun - at
        self.counts.lateness[bucket_of(max(0.0, late_s) * 1000)] += 1
        arrival.due_wall_s = time.time() - late_s
        arrival.fresh = True
        arrival.recorded = recorded
        try:
            self._random.choice(user.tasks)(user)
        except Exception as error:  # noqa: BLE001  # a task of the user's: told, and the next goes on
            logger.exception("a task failed")
            self._environment.events.user_error.fire(
                user_instance=user, exception=error, tb=error.__traceback__
            )


class _FromDue:
    """In place of locust's request event: latency from the due time, and our counts."""

    def __init__(self, event: Any, arrivals: Arrivals) -> None:
        self._event, self._arrivals = event, arrivals

    def fire(self, **meta: Any) -> None:
        if arrival.due_wall_s:
            due = meta["start_time"]
            if arrival.fresh:
                due, arrival.fresh = arrival.due_wall_s, False
                meta["response_time"] += max(0.0, meta["start_time"] - due) * 1000
            self._count(due, meta)
        self._event.fire(**meta)

    def _count(self, due_wall_s: float, meta: dict[str, Any]) -> None:
        counts, at = self._arrivals.counts, self._arrivals.slice_of(due_wall_s)
        response: Any = meta.get("response")
        error = meta.get("exception")
        status = getattr(response, "status_code", 0) or 0
        if not status:
            counts.unanswered(at, f"{type(error).__name__}: {error}")
            return
        headers = response.headers or {}
        counts.answered(
            at,
            version=headers.get(VERSION_HEADER) or "",
            status=status,
            latency_ms=meta["response_time"],
            wrong=error is not None,
            body=(response.content or b"")[:64] if status == 503 else b"",
        )


class OpenUser(FastHttpUser):
    """A user whose tasks begin when an arrival is due, not when the last answer came.

    Latency counts from the due time. Tasks, their weights, ``@tag``, ``on_start`` and
    ``self.client`` are those of locust; ``wait_time`` has no meaning here.
    """

    abstract = True
    network_timeout = 10.0
    connection_timeout = 10.0
    concurrency = 10_000

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._arrivals: Arrivals = environment.sluice_arrivals
        self.client.request_event = _FromDue(environment.events.request, self._arrivals)

    def run(self) -> None:
        """Be there until stopped; arrivals come from the process's one clock."""
        self._state = "running"
        self.on_start()
        self._arrivals.join(self)
        self._state = "waiting"
        try:
            Event().wait()
        finally:
            self._arrivals.leave(self)
            self.on_stop()
