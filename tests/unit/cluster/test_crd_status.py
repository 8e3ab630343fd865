"""What the controller writes is what the definition of Release keeps: the rest would be dropped."""

from tools.crd import status

from sluice.cluster.shown import FIELDS, HISTORY, LINES

PROPERTIES = status.RELEASE["properties"]
PACKED = {"routing", "checkpoint", "view"}
"""Written by the journal and the presenter."""


def test_the_definition_has_every_field_of_the_status_and_no_other() -> None:
    assert set(PROPERTIES) == {*FIELDS, *PACKED}


def test_lists_of_the_status_fit_into_the_definition() -> None:
    assert PROPERTIES["history"]["maxItems"] >= HISTORY
    assert PROPERTIES["problems"]["maxItems"] >= LINES
    assert PROPERTIES["notices"]["maxItems"] >= LINES
