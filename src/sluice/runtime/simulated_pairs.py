"""Pairs of answers in a simulation: a copy that fails differs, all others agree."""

from dataclasses import dataclass, field
from itertools import repeat

from sluice.analysis.shadow import ShadowState, ShadowTest, scored
from sluice.engine.state import Mode
from sluice.nouns import BP_TOTAL, Verdict
from sluice.runtime.core import Core
from sluice.runtime.shadow import Memory, shadow_test, verdict_of


@dataclass(slots=True)
class SimulatedPairs:
    """What a shadow judge would remember."""

    stage: int = -1
    state: ShadowState = field(default_factory=ShadowState)

    def look(self, core: Core, at_ms: int, copies: int, failed: int) -> Verdict | None:
        """The verdict on a shadow rung; None on any other.

        Args:
            core: The simulated release.
            at_ms: Virtual UTC ms.
            copies: Requests that were mirrored since the last look.
            failed: Of them: the candidate answered with an error.
        """
        rules = core.state.at_rung.shadow if core.state.mode is Mode.RUNNING else None
        if rules is None:
            return None
        if core.state.stage != self.stage:
            self.stage, self.state = core.state.stage, ShadowState()
        test: ShadowTest = shadow_test(core, rules)
        if test.noisy:
            copies, failed = (n * rules.noise_bp // BP_TOTAL for n in (copies, failed))
        self.state = scored(test, self.state, repeat((True, False), failed))
        self.state = scored(test, self.state, repeat((False, False), copies - failed))
        memory = Memory(stage=self.stage, rules=rules, state=self.state)
        return verdict_of(memory, test, at_ms)
