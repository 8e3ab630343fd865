"""Every block of the documentation is parsed by the thing it is written for.

The blocks of the tutorial are run as well, in order: ``tests/e2e/test_tutorial.py``.
"""

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import pytest
import typer
import yaml
from tests.docs.pages import ROOT, Block, blocks, blocks_of, inline_code, pages
from typer.exceptions import TyperException

from sluice.cli.main import build
from sluice.errors import SpecError
from sluice.spec import Documents, Text, load

COMMANDS: Mapping[str, Any] = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
PLACES = (
    "examples/",
    "tests/",
    "src/",
    "services/",
    "tools/",
    "benchmarks/",
    "docs/",
    "charts/",
    "k8s/",
    ".ci/",
)
OTHERS = {"helm", "kubectl"}
"""Programs among whose words ``sluice`` is the name of something."""
ENDS = {"|", "||", "&&", ";", "&", ";;", ">", ">>"}

MINIMAL = {
    "Release": """
apiVersion: sluice.dev/v1alpha1
kind: Release
metadata: {name: minimal}
spec:
  replicas: 1
  strategy: {canary: {}}
  template: {spec: {containers: [{name: model, ports: [{name: http, containerPort: 80}]}]}}
""",
    "ReleasePolicy": """
apiVersion: sluice.dev/v1alpha1
kind: ReleasePolicy
metadata: {name: minimal}
spec: {}
""",
}


def by_name(block: Block) -> str:
    return block.name


# --- shell ---


def commands(text: str) -> list[list[str]]:
    """The simple commands of a script, as words; here-documents are left out."""
    text = re.sub(r"(<<'(\w+)'[^\n]*\n).*?^\2$", r"\1", text, flags=re.MULTILINE | re.DOTALL)
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        found.append([])
        for word in lexer:
            if word in ENDS:
                found.append([])
            else:
                found[-1].append(word)
    return [words for words in found if words]


def fault(words: list[str]) -> str:
    """What is wrong with a command, as far as can be told without running it."""
    for number, word in enumerate(words):
        if word.startswith(PLACES) and not (ROOT / word.partition("::")[0]).exists():
            return f"no such file: {word}"
        if word == "sluice" and words[0] not in OTHERS:
            return cli_fault(words[number + 1 :])
    match words:
        case ["make", *rest]:
            targets = [word for word in rest if "=" not in word and not word.startswith("-")]
            unknown = [word for word in targets if word not in TARGETS]
            return f"no such target: {unknown}" if unknown else ""
        case ["python" | ".venv/bin/python", "-m", module, *_]:
            return "" if find_spec(module) else f"no such module: {module}"
    return ""


def cli_fault(words: list[str]) -> str:
    """What the real parser says of ``sluice`` with these words."""
    if not words or words[0].startswith("--"):
        return ""
    if words[0] not in COMMANDS:
        return f"no such verb: {words[0]}"
    command, rest = COMMANDS[words[0]], words[1:]
    if hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return f"no such verb: {' '.join(words[:2])}"
        command, rest = command.commands[rest[0]], rest[1:]
    try:
        command.make_context(words[0], list(rest))
    except TyperException as error:
        return f"sluice {' '.join(words)}: {error.format_message()}"
    return ""


@pytest.mark.parametrize("block", blocks("sh"), ids=by_name)
def test_shell_blocks_use_what_exists(block: Block) -> None:
    syntax = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert syntax.stderr == ""
    faults = [fault(words) for words in commands(block.text)]
    assert [text for text in faults if text] == []


def test_commands_in_prose_exist() -> None:
    found = []
    for page in pages():
        for code in inline_code(page):
            words = code.split()
            if words[0] == "sluice" and len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]):
                options = [word.partition("=")[0] for word in words[2:] if word.startswith("-")]
                command = COMMANDS.get(words[1])
                for word in words[2:3]:
                    command = getattr(command, "commands", {}).get(word, command)
                known = {o for p in command.params for o in p.opts} if command else set()
                wrong = [option for option in options if option not in known | {"--help"}]
                found += [f"{page.name}: {code}"] if command is None or wrong else []
            if words[0] == "make" and len(words) > 1 and words[1] not in TARGETS:
                found += [f"{page.name}: {code}"]
    assert found == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param("sluice promotes taxi", "no such verb", id="verb"),
        pytest.param("sluice promote taxi --fully", "--fully", id="option"),
        pytest.param("sluice status | sluice undo --to x", "--to", id="after-a-pipe"),
        pytest.param("sluice plan -f a.yaml --rps many", "--rps", id="value"),
        pytest.param("make demos", "no such target", id="target"),
        pytest.param("cat examples/taxi/gone.yaml", "no such file", id="file"),
        pytest.param("python -m sluice.testing.gone --rate 1", "no such module", id="module"),
    ],
)
def test_a_wrong_command_would_be_seen(command: str, said: str) -> None:
    assert said in " ".join(fault(words) for words in commands(command))


def test_a_right_command_is_not_complained_of() -> None:
    script = "sluice abort || exit 1\ncat > x <<'END'\nsluice nonsense\nEND\nmake test ARGS='-k x'"
    assert [fault(words) for words in commands(script) if fault(words)] == []


# --- documents ---


def documents_of(block: Block) -> list[Any]:
    return [item for item in yaml.safe_load_all(block.text) if isinstance(item, dict)]


def whole(item: Any) -> bool:
    return "kind" in item and "apiVersion" in item


def key(item: Any) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def loaded(block: Block) -> Documents:
    """The documents of a block, with those of its page that they may refer to."""
    ours = documents_of(block)
    others = [
        item
        for other in blocks_of(block.page)
        if other.language == "yaml" and other.line != block.line
        for item in documents_of(other)
        if whole(item) and key(item) not in {key(one) for one in ours}
    ]
    text = "\n---\n".join([block.text, *(yaml.safe_dump(item) for item in others)])
    return load([Text(text=text.encode(), name=block.name)])


def placed(block: Block) -> Documents:
    """A fragment in a minimal document, at the place that its note names."""
    kind, _, path = block.note.removeprefix("at=").partition(":")
    document = yaml.safe_load(MINIMAL[kind])
    place = document
    steps = path.split(".")
    for step in steps[:-1]:
        place = place[step]
    fragment = yaml.safe_load(block.text)
    whole_part = kind == "Release" and steps[-1] == "strategy"
    place[steps[-1]] = fragment if whole_part else {**place.get(steps[-1], {}), **fragment}
    return load([Text(text=yaml.safe_dump(document).encode(), name=block.name)])


@pytest.mark.parametrize("block", blocks("yaml"), ids=by_name)
def test_yaml_blocks_are_documents_that_load(block: Block) -> None:
    if block.note:
        assert placed(block)
    elif any(whole(item) for item in documents_of(block)):
        assert loaded(block)
    else:
        assert yaml.safe_load(block.text) is not None


def test_a_fragment_with_an_unknown_field_would_be_seen() -> None:
    fragment = Block(
        page=ROOT / "README.md",
        line=1,
        language="yaml",
        note="at=ReleasePolicy:spec",
        text="harmBudgets: 10\n",
    )
    with pytest.raises(SpecError, match="harmBudget"):
        placed(fragment)


@pytest.mark.parametrize("block", blocks("python"), ids=by_name)
def test_python_blocks_are_python(block: Block) -> None:
    assert ast.parse(block.text).body


def test_json_blocks_are_json() -> None:
    for block in blocks("json"):
        assert json.loads(block.text) is not None, block.name
