"""The shield, the same in every strategy that sends users to the candidate."""

from pydantic import Field

from sluice.nouns import Shield
from sluice.spec.base import Model
from sluice.spec.scalars import PositiveDuration


class ShieldSpec(Model):
    """A failed answer of the candidate is replaced by stable's and still counted against it.

    Only for predictions, which have no side effects, and while the answer has not begun.
    """

    per_try_timeout_ms: PositiveDuration = Field(alias="perTryTimeout")
    """How long the candidate may take before stable is asked; below ``traffic.timeout``."""

    @property
    def shield(self) -> Shield:
        """The shield as routers take it."""
        return Shield(per_try_timeout_ms=self.per_try_timeout_ms)
