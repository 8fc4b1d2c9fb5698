"""Run a server with the fake engine: `python -m tests.fakes.serve hostler.toml`, ending as the command line does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hostler.cli.main import get_details, render_error
from hostler.config import Config, Sources, load_config
from hostler.errors import HostlerError
from hostler.server import Options, run
from hostler.system.bequest import report_to_former
from tests.fakes.asgi_engine import FakeAsgiEngine
from tests.fakes.engine import FakeEngine


def main(file: str) -> int:
    def load_configuration() -> Config:
        sources = Sources(directory=Path(file).parent, environ=dict(os.environ), file=file)
        return load_config(sources).config

    try:
        return run(load_configuration, options=Options(engine=FakeEngine, asgi_engine=FakeAsgiEngine))
    except HostlerError as error:
        report_to_former(dict(os.environ), os.getpid(), str(error), get_details(error), error.exit_status)
        render_error(error, verbose=False)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
