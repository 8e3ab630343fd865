"""Who is told of decisions."""

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.nouns import Notify
from sluice.spec.base import Related, Relation, exactly_one
from sluice.spec.scalars import EnvName, Url

_ADDRESS = ("url", "urlEnv")


class WebhookOut(Related):
    """CloudEvents as JSON, signed when there is a key."""

    model_config = exactly_one(*_ADDRESS)

    url: Url | None = None
    """Where to."""
    url_env: EnvName | None = None
    """Environment variable of the controller that holds the address, where it is a secret."""
    secret_env: EnvName | None = None
    """Environment variable that holds the HMAC key; left out: not signed."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One address."""
        if len([key for key in _ADDRESS if key in raw]) != 1:
            yield (), "give url, or urlEnv where the address is a secret: one of the two"


class SlackOut(Related):
    """A text that Slack, Mattermost and their like show."""

    model_config = exactly_one(*_ADDRESS)

    url: Url | None = None
    """Where to."""
    url_env: EnvName | None = None
    """Environment variable of the controller that holds the address: Slack's are secrets."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One address."""
        if len([key for key in _ADDRESS if key in raw]) != 1:
            yield (), "give urlEnv, or url where the address is no secret: one of the two"


class NotifySpec(Related):
    """One receiver: exactly one of the fields."""

    model_config = exactly_one("webhook", "slack")

    webhook: WebhookOut | None = None
    """A service of your own."""
    slack: SlackOut | None = None
    """A chat."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """One receiver an item."""
        if len([key for key in ("webhook", "slack") if key in raw]) != 1:
            yield (), "give webhook or slack, one of the two: further ones are further items"

    @property
    def notify(self) -> Notify:
        """Address and key of the receiver."""
        if self.webhook is not None:
            return Notify(
                kind="webhook",
                url=self.webhook.url or "",
                url_env=self.webhook.url_env or "",
                secret_env=self.webhook.secret_env or "",
            )
        assert self.slack is not None  # noqa: S101  # one of the two (relations)
        return Notify(kind="slack", url=self.slack.url or "", url_env=self.slack.url_env or "")
