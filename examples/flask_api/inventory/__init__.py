"""A Flask service, made by a factory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator

from flask import Flask, Response, current_app, jsonify, request, send_file, session

LARGEST_FILE = 64 * 1024 * 1024
BLOCK = 64 * 1024


def create_app(secret_key: str = "") -> Flask:
    """Build the application.

    Args:
        secret_key: signs the session; without it, SECRET_KEY of the environment, or one for development.
    """
    app = Flask(__name__)
    app.secret_key = secret_key or os.environ.get("SECRET_KEY", "for development only")
    app.add_url_rule("/", view_func=list_routes)
    app.add_url_rule("/echo", view_func=echo, methods=["POST"])
    app.add_url_rule("/upload", view_func=upload, methods=["POST"])
    app.add_url_rule("/stream", view_func=stream)
    app.add_url_rule("/visits", view_func=count_visits)
    app.add_url_rule("/file", view_func=send_bytes)
    app.add_url_rule("/crash", view_func=crash)
    return app


def list_routes() -> Response:
    """List what there is."""
    rules = sorted(str(rule) for rule in current_app.url_map.iter_rules() if rule.endpoint != "static")
    return jsonify(routes=rules, server=request.environ.get("SERVER_SOFTWARE", ""), scheme=request.scheme)


def echo() -> Response:
    """Send back the JSON that was sent; Flask answers 400 or 415 if it is none."""
    return jsonify(received=request.get_json())


def upload() -> Response:
    """Describe the files of a form."""
    described = []
    for file in request.files.values():
        digest = hashlib.file_digest(file.stream, "sha256")  # type: ignore[arg-type]  # reads; that is all it needs
        described.append({"name": file.filename, "size": file.stream.tell(), "sha256": digest.hexdigest()})
    return jsonify(files=described)


def stream() -> Response:
    """Send lines as they are made."""
    count = request.args.get("lines", default=10, type=int)

    def lines() -> Iterator[str]:
        yield from (f"line {number}\n" for number in range(1, count + 1))

    return Response(lines(), mimetype="text/plain")


def count_visits() -> Response:
    """Count the requests of this session."""
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(visits=session["visits"])


def send_bytes() -> Response:
    """Send a file of the size that is asked for, made of the alphabet."""
    size = min(max(0, request.args.get("size", default=BLOCK, type=int)), LARGEST_FILE)
    alphabet = (b"abcdefghijklmnopqrstuvwxyz" * (BLOCK // 26 + 1))[: BLOCK // 26 * 26]
    with tempfile.NamedTemporaryFile() as file:
        for start in range(0, size, len(alphabet)):
            file.write(alphabet[: size - start])
        file.flush()
        # Flask opens the path here and now; the open file outlives its name.
        return send_file(file.name, mimetype="application/octet-stream", download_name="alphabet.bin")


def crash() -> Response:
    """Let an exception out of the application."""
    raise RuntimeError("the stable door was left open")
