"""What ``sluice lint`` refuses and no CEL rule says: who says it instead, and why.

``tests/unit/spec/test_crd_parity.py`` has a case for each.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One kind of fault that is left to somebody else."""

    key: str
    """What cases call it."""
    what: str
    """What is wrong, for the reader of the reference."""
    by: Literal["server", "controller", "nobody"]
    """``server``: the API server refuses it in its own words; ``controller``: it is taken, and the
    controller answers with the condition ``Accepted=False`` and the words of ``sluice lint``;
    ``nobody``: it means there what it means when it is left out."""
    why: str
    """Why no rule says it."""


LEFT = (
    Left(
        key="fields",
        what="an unknown field, a missing one, a value of another type, a text that does not "
        "match, a number out of bounds",
        by="server",
        why="said by the schema; an unknown field is dropped unless the client asks for strict "
        "validation, as `kubectl` does",
    ),
    Left(
        key="sets",
        what="a host, ConfigMap or Secret that is in its list twice; two containers of one name",
        by="server",
        why="these lists are sets and maps, so that two clients can each own a part of them",
    ),
    Left(
        key="null",
        what="a field that must be there and is empty, such as `canary:` without `{}`",
        by="server",
        why="the API server takes null for left out, and refuses it in the words for that",
    ),
    Left(
        key="null-optional",
        what="a field that may be left out and is empty, such as `http:` of a gate",
        by="nobody",
        why="the API server takes null for left out",
    ),
    Left(
        key="documents",
        what="a policy or SLO that is not there, a host of two releases, a preview host that has "
        "live traffic",
        by="controller",
        why="a rule sees one object",
    ),
    Left(
        key="stages",
        what="across stages: a weight below one of an earlier stage, a header step after it, a "
        "gate's name that another stage has",
        by="controller",
        why="comparing every step of every stage with every other is over the cost that the API "
        "server allows; inside one canary there are rules",
    ),
    Left(
        key="plan",
        what="a ramp that may reach more than the stage after it begins with; what the data plane "
        "cannot do",
        by="controller",
        why="the ramp's end is in the policy, and a data plane is no part of the document",
    ),
    Left(
        key="ports",
        what="two ports of one name in a pod",
        by="controller",
        why="comparing the ports of all containers is over the cost that the API server allows",
    ),
    Left(
        key="time-zone",
        what="a time zone that nobody knows",
        by="controller",
        why="CEL has no list of them",
    ),
    Left(
        key="open",
        what="`status` of an HTTP check that is no status nor a list of them",
        by="controller",
        why="a field that is a number or a list has no type in a CRD",
    ),
)
