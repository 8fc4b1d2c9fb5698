"""A Flask route that answers with JSON: what is left of the differences under a framework."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def greet() -> dict[str, str]:
    """Answer with one small object."""
    return {"message": "Hello, world!"}
