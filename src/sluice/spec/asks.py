"""How a gate is answered without a person: a webhook, a request, a command, a load test."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from sluice.nouns import Ask
from sluice.spec.base import Model, Related, Relation
from sluice.spec.scalars import EnvName, PositiveDuration, Text, Url, Words, shown, wrong

ASKS = ("http", "command", "webhook", "load")
OnSilence = Literal["hold", "abort", "approve"]
Retries = Annotated[int, Field(strict=True, ge=0, le=100)]
Argv = Annotated[tuple[Words, ...], Field(min_length=1, max_length=100)]


def _status(value: object) -> tuple[int, ...]:
    codes = value if isinstance(value, list | tuple) else (value,)
    fine = all(isinstance(c, int) and not isinstance(c, bool) and 100 <= c <= 599 for c in codes)
    if not codes or not fine:
        raise wrong(f"must be a status such as 200, or a list of them, not {shown(value)}")
    return tuple(codes)


Statuses = Annotated[
    tuple[int, ...],
    PlainValidator(_status),
    PlainSerializer(lambda codes: codes[0] if len(codes) == 1 else list(codes)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            ]
        }
    ),
]


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        raise wrong(f"must be a path that begins with /, such as /health, not {shown(value)}")
    return value


Path = Annotated[str, PlainValidator(_path), WithJsonSchema({"type": "string", "pattern": "^/.*$"})]


class HttpAsk(Related):
    """One request whose answer must look so."""

    path: Path | None = None
    """Path of the candidate, asked through the router's preview route."""
    url: Url | None = None
    """A whole address instead, for a service that knows the candidate."""
    method: Literal["GET", "HEAD", "POST", "PUT"] = "GET"
    """Method of the request."""
    body: Text = ""
    """Body of the request."""
    headers: dict[Words, Text] = Field(default_factory=dict)
    """Further headers of the request."""
    status: Statuses = (200,)
    """Answers that are a yes: one status or a list."""
    contains: Text = ""
    """Text that the body must contain."""
    timeout_ms: PositiveDuration = Field(default=10_000, alias="timeout")
    """For one try."""
    retries: Retries = 3
    """Further tries after one that failed."""
    every_ms: PositiveDuration = Field(default=2_000, alias="every")
    """Time between two tries."""
    on_silence: OnSilence = "hold"
    """What happens when no try was answered."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One address."""
        if len([key for key in ("path", "url") if key in raw]) != 1:
            yield (), "give path (asked of the candidate) or url, one of the two"

    @property
    def ask(self) -> Ask:
        """The question as the engine carries it."""
        return Ask(
            kind="http",
            url=self.path or self.url or "",
            method=self.method,
            body=self.body,
            headers=tuple(self.headers.items()),
            status=self.status,
            contains=self.contains,
            timeout_ms=self.timeout_ms,
            retries=self.retries,
            every_ms=self.every_ms,
            on_silence=self.on_silence,
        )


class WebhookAsk(Model):
    """A signed POST that tells the release and the gate, answered by yes, no or wait."""

    url: Url
    """Where to."""
    secret_env: EnvName | None = None
    """Environment variable that holds the HMAC key; left out: not signed."""
    timeout_ms: PositiveDuration = Field(default=10_000, alias="timeout")
    """For one try."""
    retries: Retries = 3
    """Further tries when nothing sensible was answered."""
    every_ms: PositiveDuration = Field(default=10_000, alias="every")
    """Time between two tries, and between two questions while the answer is wait."""
    on_silence: OnSilence = "hold"
    """What happens when no try was answered."""

    @property
    def ask(self) -> Ask:
        """The question as the engine carries it."""
        return Ask(
            kind="webhook",
            url=self.url,
            method="POST",
            secret_env=self.secret_env or "",
            timeout_ms=self.timeout_ms,
            retries=self.retries,
            every_ms=self.every_ms,
            on_silence=self.on_silence,
        )


class CommandAsk(Model):
    """A program (a Job on Kubernetes) that must end with 0."""

    run: Argv
    """Program and arguments; the environment names release, revision and the candidate's URL."""
    timeout_ms: PositiveDuration = Field(default=300_000, alias="timeout")
    """For one run; then it is ended and counts as unanswered."""
    retries: Retries = 0
    """Further runs after one that did not answer."""
    every_ms: PositiveDuration = Field(default=10_000, alias="every")
    """Time between two runs."""
    on_silence: OnSilence = "hold"
    """What happens when no run ended in time."""

    @property
    def ask(self) -> Ask:
        """The question as the engine carries it."""
        return Ask(
            kind="command",
            command=self.run,
            timeout_ms=self.timeout_ms,
            retries=self.retries,
            every_ms=self.every_ms,
            on_silence=self.on_silence,
        )


class LoadAsk(CommandAsk):
    """A load test of the candidate: 0 passed, 1 failed, 2 undecided, 3 not to be trusted."""

    timeout_ms: PositiveDuration = Field(default=1_800_000, alias="timeout")
    """For one run; then it is ended and counts as unanswered."""

    @property
    def ask(self) -> Ask:
        """The question as the engine carries it."""
        return Ask(
            kind="load",
            command=self.run,
            timeout_ms=self.timeout_ms,
            retries=self.retries,
            every_ms=self.every_ms,
            on_silence=self.on_silence,
        )


class Asked(Related):
    """Something that can be answered by one of four ways of asking."""

    http: HttpAsk | None = None
    """Send one request and look at the answer."""
    command: CommandAsk | None = None
    """Run a program."""
    webhook: WebhookAsk | None = None
    """Ask a service of your own."""
    load: LoadAsk | None = None
    """Run a load test."""

    @property
    def ask(self) -> Ask | None:
        """The question; None when a person is asked."""
        asked = self.http or self.command or self.webhook or self.load
        return asked.ask if asked is not None else None

    @property
    def title(self) -> str:
        """The question in two words: its kind and what it is about."""
        ask = self.ask
        if ask is None:
            return ""
        about = ask.command[0].rpartition("/")[2] if ask.command else ask.url
        if ask.kind == "webhook":
            about = urlsplit(ask.url).netloc
        return f"{ask.kind} {about}"


def asks_in(raw: Mapping[str, Any]) -> list[str]:
    """Ways of asking that an unchecked value gives."""
    return [key for key in ASKS if key in raw]
