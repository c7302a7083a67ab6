"""The pages of a server: one to try the model by hand, one that says what may be asked.

They are whole in themselves: no script and no font comes from elsewhere.
"""

import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from apps.serving.bodies import INSTANCES, Bodies


def try_page(title: str, bodies: Bodies) -> str:
    """Return a page on which a person asks the model: a picture, a text or a table."""
    settings = {
        "kind": bodies.form.kind,
        "field": bodies.form.field,
        "label": bodies.form.label,
        "csv": bodies.example.to_csv(index=False),
        "json": json.dumps({INSTANCES: bodies.example_rows()}, indent=1),
    }
    page = files("apps.serving").joinpath("try.html").read_text(encoding="utf-8")
    # Inside a script, `<` could end it.
    inside = json.dumps(settings).replace("<", "\\u003c")
    return page.replace("{{title}}", html.escape(title)).replace("{{settings}}", inside)


def docs_page(openapi: Mapping[str, Any]) -> str:
    """Return what an OpenAPI description says, for people."""
    title = html.escape(openapi["info"]["title"])
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f'<title>{title}</title><link rel=icon href="data:,">',
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
        "padding:0 1rem;color-scheme:light dark}pre{overflow:auto;padding:1rem;"
        "border:1px solid #8886;border-radius:6px;font-size:13px}</style>",
        f"<h1>{title}</h1><p>For programs: <a href=openapi.json>openapi.json</a>. "
        "To try it: <a href=./>the page</a>.</p>",
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            about = html.escape(operation.get("description", ""))
            parts.append(f"<h2><code>{method.upper()} {path}</code></h2><p>{about}</p>")
            content = operation.get("requestBody", {}).get("content", {})
            for kind, entry in content.items():
                shown = html.escape(json.dumps(entry["schema"], indent=2))
                parts.append(f"<p>Content-Type: <code>{kind}</code></p><pre>{shown}</pre>")
    return "\n".join(parts)
