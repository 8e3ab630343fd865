"""Against servers of a few lines, each with one way to misbehave."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from sluice.testing.traffic import Answer, Histogram, Outcome, Report, Traffic, TrafficProcess
from sluice.testing.traffic.__main__ import main

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nx-sluice-version: v1\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/predict"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def answering(*answers: bytes) -> Handler:
    """Answers in turn over all connections, whatever is asked."""
    turn = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        while True:
            await reader.readuntil(b"\r\n\r\n")
            answer = answers[turn % len(answers)]
            turn += 1
            writer.write(answer)
            await writer.drain()

    return handle


async def load(url: str, **options: object) -> Report:
    arguments = {"rate": 400.0, "count": 40, "method": "GET", **options}
    async with Traffic(url, **arguments) as traffic:  # type: ignore[arg-type]  # a test's options
        return await traffic.finished()


async def test_every_request_is_counted_under_the_revision_that_answered() -> None:
    v2 = OK.replace(b"v1", b"v2").replace(b"200 OK", b"500 Oops")
    bad = OK.replace(b"200 OK", b"422 No")
    async with serving(answering(OK, v2, OK, bad)) as url:
        report = await load(url)
    assert (report.sent, report.done, report.lost) == (40, 40, 0)
    assert report.outcomes["v1"] == {Outcome.OK: 20, Outcome.CLIENT_ERROR: 10}
    assert report.harmed("v2") == 10
    assert report.harmed("v1") == 0
    by_second = [
        n for second in report.seconds.values() for c in second.values() for n in c.values()
    ]
    assert sum(by_second) == 40
    assert 0 < report.latency["v1"].quantile_ms(0.5) < 1000


async def test_a_503_without_a_version_is_the_routers_own_and_lost() -> None:
    of_router = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    of_model = OK.replace(b"200 OK", b"503 Busy")
    async with serving(answering(of_router, of_model)) as url:
        report = await load(url)
    assert report.lost == report.lost_by["503 of the router"] == 20
    assert report.harmed("v1") == 20


@pytest.mark.parametrize(
    "words",
    [
        b"no healthy upstream",
        b"upstream connect error or disconnect/reset before headers. reset reason: overflow",
    ],
)
async def test_the_routers_own_503_is_lost_and_charged_to_the_revision_it_stands_for(
    words: bytes,
) -> None:
    head = b"HTTP/1.1 503 Service Unavailable\r\nx-sluice-version: v2\r\ncontent-length: %d\r\n\r\n"
    async with serving(answering(head % len(words) + words, OK)) as url:
        report = await load(url)
    assert report.lost == report.harmed("v2") == 20
    assert report.lost_by == {f"503 of the router: {words.decode()}": 20}
    assert report.harmed("v1") == 0


async def test_a_refused_connection_is_lost() -> None:
    async with serving(answering(OK)) as url:
        pass
    report = await load(url)
    assert report.lost == report.lost_by["refused"] == 40


async def test_a_server_that_dies_with_requests_in_hand_loses_them_visibly() -> None:
    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # taken, never answered

    async with serving(dying) as url:
        report = await load(url, rate=100.0, poisson=False)
    assert report.lost_by["closed without an answer"] >= 10
    assert report.reconnects == 0


async def test_a_request_that_met_a_closing_idle_connection_goes_out_once_more() -> None:
    loop = asyncio.get_running_loop()
    accepted: list[socket.socket] = []

    async def serve(listener: socket.socket) -> None:
        while True:
            peer, _ = await loop.sock_accept(listener)
            accepted.append(peer)
            await loop.sock_recv(peer, 4096)
            await loop.sock_sendall(peer, OK)

    def body(index: int) -> bytes:
        if index == 1:
            accepted[0].close()  # unseen by the client, whose next act is to send on it
        return b""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server = asyncio.create_task(serve(listener))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        report = await load(url, count=2, rate=20.0, poisson=False, body=body)
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
    for peer in accepted:
        peer.close()
    assert (report.done, report.lost, report.reconnects) == (2, 0, 1)


async def test_latency_counts_from_the_time_a_request_was_due() -> None:
    stalled = asyncio.Event()

    async def stalling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await stalled.wait()
            writer.write(OK)

    answers: list[Answer] = []
    async with serving(stalling) as url:
        asyncio.get_running_loop().call_later(0.3, stalled.set)
        # One connection: whoever waits for it was due long before it is sent.
        await load(url, rate=200.0, count=20, poisson=False, max_connections=1,
                   on_answer=answers.append)  # fmt: skip
    waits = {answer.index: answer.latency_s for answer in answers}
    assert waits[0] >= 0.28
    assert waits[10] >= 0.23


async def test_a_user_who_waits_too_long_gives_up_and_is_counted() -> None:
    async def hanging(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with serving(hanging) as url:
        report = await load(url, count=10, timeout_s=0.1, max_connections=3)
    assert report.count(Outcome.TIMEOUT) == report.done == 10


async def test_an_answer_cut_short_is_lost_and_one_without_length_is_not() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:-1])
        await writer.drain()
        writer.close()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nx-sluice-version: v1\r\n\r\nall that comes")
        await writer.drain()
        writer.close()

    async with serving(cut) as url:
        report = await load(url, count=5)
    assert report.lost_by == {"closed in mid-answer": 5}
    async with serving(endless) as url:
        report = await load(url, count=5)
    assert report.outcomes == {"v1": {Outcome.OK: 5}}


async def test_what_is_not_http_is_lost_with_the_reason() -> None:
    async with serving(answering(b"220 smtp ready\r\n\r\n")) as url:
        report = await load(url, count=3)
    assert report.lost == 3
    assert "not an HTTP/1 status line" in next(iter(report.lost_by))


async def test_arrivals_are_the_same_for_the_same_seed_and_as_many_as_asked() -> None:
    async def dues(seed: int) -> list[float]:
        answers: list[Answer] = []
        async with serving(answering(OK)) as url:
            await load(url, count=20, seed=seed, on_answer=answers.append)
        return sorted(answer.due_s for answer in answers)

    assert await dues(1) == await dues(1) != await dues(2)


async def test_stopping_early_ends_with_what_was_sent() -> None:
    tenth = asyncio.Event()

    def watch(answer: Answer) -> None:
        if answer.index == 9:
            tenth.set()

    async with serving(answering(OK)) as url:
        async with Traffic(url, rate=200, method="GET", on_answer=watch) as traffic:
            await tenth.wait()
        assert 10 <= traffic.report.sent == traffic.report.done < 200


async def test_bodies_and_headers_are_the_callers() -> None:
    seen: list[bytes] = []

    async def keeping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            seen.append(head + await reader.readexactly(6))
            writer.write(OK)

    async with serving(keeping) as url:
        await load(
            url,
            count=2,
            method="POST",
            host="taxi",
            body=lambda n: b"body %d" % n,
            headers=lambda n: {"x-user-id": f"u{n}"},
        )
    assert b"POST /predict HTTP/1.1\r\nHost: taxi\r\nContent-Length: 6\r\nx-user-id: u0" in seen[0]
    assert seen[0].endswith(b"body 0")


async def test_a_fault_in_the_callers_body_is_heard() -> None:
    async with serving(answering(OK)) as url:
        with pytest.raises(ZeroDivisionError):
            await load(url, body=lambda n: b"x" * (1 // n))


@pytest.mark.parametrize(
    "options",
    [{"rate": 0}, {"url": "https://x/"}, {"url": "http:///x"}, {"duration_s": 0}],
    ids=lambda options: str(options),
)
def test_a_load_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"http://|above 0"):
        Traffic(**{"url": "http://x/", "rate": 1.0, **options})  # type: ignore[arg-type]  # on purpose


def test_quantiles_are_within_a_twentieth() -> None:
    histogram = Histogram()
    for value in range(1, 1001):
        histogram.add(float(value))
    assert histogram.quantile_ms(0.5) == pytest.approx(500, rel=0.051)
    assert histogram.quantile_ms(0.99) == pytest.approx(990, rel=0.051)


async def test_a_report_survives_json() -> None:
    async with serving(answering(OK, OK.replace(b"200", b"500"))) as url:
        report = await load(url)
    again = Report.from_json(json.loads(json.dumps(report.to_json())))
    assert again.to_json() == report.to_json()
    assert again.harmed("v1") == 20


async def test_the_load_runs_as_a_process_of_its_own() -> None:
    async with serving(answering(OK)) as url:
        arguments = ["--url", url, "--rate", "200", "--count", "60", "--method", "GET"]
        async with TrafficProcess(*arguments, "--user-header", "x-user-id") as traffic:
            report = await traffic.finished()
    assert (report.sent, report.lost) == (60, 0)
    assert report.count(Outcome.OK, revision="v1") == 60
    assert traffic.latest["final"] is True


async def test_a_process_ended_early_still_reports() -> None:
    async with serving(answering(OK)) as url:
        async with TrafficProcess("--url", url, "--rate", "100", "--duration", "60") as traffic:
            traffic.stop()
        assert traffic.report.sent == traffic.report.done < 100


async def test_a_process_with_senseless_arguments_says_so() -> None:
    with pytest.raises(RuntimeError, match="status 64: traffic: 'ftp://x' is not an http:// URL"):
        async with TrafficProcess("--url", "ftp://x", "--rate", "1"):
            pass


def test_arguments_that_make_no_sense_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://x", "--rate", "1", "--header", "nonsense"]) == 64
    assert "must be NAME:VALUE" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="64"):
        main(["--rate", "x"])


def test_late_answers_are_counted_to_within_a_bucket() -> None:
    histogram = Histogram()
    for milliseconds in (20, 900, 1_100, 2_000):
        histogram.add(milliseconds)
    assert (histogram.over(1_000), histogram.over(5_000)) == (2, 0)
