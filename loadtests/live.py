"""The verdict of this moment in locust's web UI: ``/verdict``, ``/verdict.json`` for scripts."""

from html import escape
from typing import Any

from sluice.reports import document

_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta http-equiv="refresh" content="2"><title>verdict</title><style>'
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;"
    "max-width:60rem;padding:0 1rem}td,th{text-align:left;padding:.3rem 1rem .3rem 0}</style>"
    "</head><body>"
)


def add_page(app: Any, session: Any) -> None:
    """Add the two routes to locust's Flask app.

    Args:
        app: ``environment.web_ui.app``.
        session: The ``Session`` that counts.
    """

    def page() -> str:
        verdict = session.verdict()
        if verdict is None:
            return f"{_HEAD}<p>No SLO was given: start locust with --slo FILE.</p></body></html>"
        rows = "".join(
            f"<tr><td>{escape(item.objective)}</td><td>{escape(item.kind)}</td>"
            f"<td>{item.bad:,} of {item.requests:,} bad</td><td>{escape(item.reason)}</td></tr>"
            for item in verdict.objectives
        )
        return (
            f"{_HEAD}<h1>{escape(verdict.kind)}</h1><p>{escape(verdict.reason)}</p>"
            f"<table>{rows}</table></body></html>"
        )

    def as_json() -> tuple[bytes, int, dict[str, str]]:
        return document.dump_json(session.verdict()), 200, {"Content-Type": "application/json"}

    app.add_url_rule("/verdict", "sluice_verdict", page)
    app.add_url_rule("/verdict.json", "sluice_verdict_json", as_json)
