"""Where a command acts: this machine or a cluster; its options are written once, here."""

import inspect
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sluice.cli.exits import WrongUsage
from sluice.cli.program import name_program

R = TypeVar("R")

DEFAULT_FOLDER = Path(".sluice")
PANEL = "Where"

Folder = Annotated[
    Path,
    typer.Option(
        "--dir",
        "-C",
        metavar="DIR",
        envvar="SLUICE_DIR",
        help="On this machine: the supervisor's state folder.",
        rich_help_panel=PANEL,
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="On a cluster: the context of the kubeconfig.",
        show_default="the current one",
        rich_help_panel=PANEL,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="On a cluster: the namespace.",
        show_default="that of the context",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The place that a command acts on."""

    folder: Path = DEFAULT_FOLDER
    program: str = "sluice"
    """How the command was started, without options."""
    cluster: bool = False
    context: str | None = None
    """Of the kubeconfig; None: the current one."""
    namespace: str | None = None
    """None: that of the context."""
    everywhere: bool = False
    """All namespaces of the cluster."""

    @property
    def words(self) -> str:
        """How the command is started again to act on the same place."""
        words = [self.program]
        if self.context is not None:
            words += ["--context", shlex.quote(self.context)]
        if self.namespace is not None:
            words += ["-n", shlex.quote(self.namespace)]
        return " ".join(words)

    def every_namespace(self) -> "Where":
        """All namespaces of the cluster.

        Raises:
            WrongUsage: this machine has none, or one was named.
        """
        if not self.cluster:
            raise WrongUsage("--all-namespaces is for clusters: give --context as well")
        if self.namespace is not None:
            raise WrongUsage("--namespace and --all-namespaces exclude each other")
        return replace(self, everywhere=True)


def options(context: Context = None, namespace: Namespace = None) -> None:
    """Options that may also stand before the verb; ``where_of`` reads them."""


def where_of(ctx: typer.Context) -> Where:
    """The place that the options of a command, and those before it, name."""
    start = ctx.find_root().obj
    started: Where = start if isinstance(start, Where) else Where()
    outer, inner = ctx.find_root().params, ctx.params
    context = inner.get("context") or outer.get("context")
    namespace = inner.get("namespace") or outer.get("namespace")
    folder = inner.get("folder") or Path(os.environ.get("SLUICE_DIR") or DEFAULT_FOLDER)
    return replace(
        started,
        folder=folder,
        cluster=started.cluster or context is not None or namespace is not None,
        context=context,
        namespace=namespace,
    )


def acting(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options that say where it acts; it takes them as one ``where``."""
    own = inspect.signature(function)
    shared = {"folder": (Folder, DEFAULT_FOLDER), **_CLUSTER}
    return _with(function, own, shared)


def acting_on_clusters(function: Callable[..., R]) -> Callable[..., R]:
    """The same for a command that makes no sense on one machine: the current context by default."""
    return _with(function, inspect.signature(function), _CLUSTER, cluster=True)


_CLUSTER: dict[str, tuple[Any, object]] = {
    "context": (Context, None),
    "namespace": (Namespace, None),
}


def _with(
    function: Callable[..., R],
    own: inspect.Signature,
    shared: dict[str, tuple[Any, object]],
    *,
    cluster: bool = False,
) -> Callable[..., R]:
    @wraps(function)
    def command(ctx: typer.Context, **given: Any) -> R:
        where = where_of(ctx)
        if cluster:
            where = replace(where, cluster=True)
        name_program(where.words)
        mine = {name: value for name, value in given.items() if name not in shared}
        return function(**mine, where=where)

    parameters = [
        Parameter("ctx", Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(
            item.replace(kind=Parameter.KEYWORD_ONLY)
            for item in own.parameters.values()
            if item.name != "where"
        ),
        *(
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for name, (annotation, default) in shared.items()
        ),
    ]
    # typer reads options from the signature: the wrapper shows one that nobody wrote by hand
    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    return command
