"""A FastAPI route that answers with JSON: what is left of the differences under a framework."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def greet() -> dict[str, str]:
    """Answer with one small object."""
    return {"message": "Hello, world!"}
