"""The command line as a whole: real processes, their output and their exit statuses, and what they serve."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.harness import PATIENCE, ROOT, ServerError, StartServer, free_port, wait_until

APP = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"from the stable"]
"""
MANY = """\
def make(name, *, count=1):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [f"{name} {count}".encode()]
    return app

def create_app():
    return make("by the usual factory")

class Stalls:
    front = staticmethod(make("an attribute of an attribute"))

third = make("another name")
"""
RAISES = 'def set_up():\n    raise LookupError("no hay")\n\nset_up()\n'


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended.

    Attributes:
        status: its exit status.
        output: what it wrote to standard output.
        error: what it wrote to standard error.
    """

    status: int
    output: str
    error: str


Run = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


@pytest.fixture
def stable(project: Path) -> Path:
    """A project with an application, `stable:app`."""
    (project / "stable.py").write_text(APP)
    return project


@pytest.fixture
def run(project: Path) -> Run:
    """A function that runs `hostler ARGUMENTS` in the project and waits for its end."""

    def run(*arguments: str, prefix: tuple[str, ...] = (), **variables: str) -> Done:
        env = {"PATH": os.environ["PATH"], "COLUMNS": "120", **variables}
        command = [*prefix, sys.executable, "-m", "hostler", *arguments]
        done = subprocess.run(
            command, cwd=project, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def write(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# Status 0


def test_stopped_server_ends_with_0(hostler_server: StartServer, stable: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        server = hostler_server("stable", cwd=stable)
        server.signal(number)
        assert server.wait() == 0


def test_start_prints_one_block(hostler_server: StartServer, stable: Path) -> None:
    server = hostler_server("stable:app", "--workers", "2", "--threads", "3", cwd=stable)
    server.stop()
    first, *rest = server.stderr.wait_end().splitlines()[:5]
    assert re.fullmatch(rf"hostler \S+ \(pid {server.pid}\)", first)
    assert rest == [
        f"  listening    {server.url}",
        "  application  stable:app",
        "  workers      2 x 3 threads",
        "  mode         production",
    ]
    assert server.stdout.wait_end() == ""


@pytest.mark.parametrize("arguments", [("--version",), ("-V",), ("version",)])
def test_version_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.status, done.error) == (0, "")
    assert re.fullmatch(r"hostler \d+\.\d+\.\d+\S* \(engine \S+; CPython 3\.\d+\.\S+, Linux \S+\)\n", done.output)


@pytest.mark.parametrize("arguments", [("help",), ("--help",), ("-h",)])
def test_help_is_an_overview(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.status, done.error) == (0, "")
    for command in ("run", "dev", "check", "config show", "version", "help"):
        assert re.search(rf"^  \[?{command}\b", done.output, re.MULTILINE), command


@pytest.mark.parametrize("command", ["run", "dev", "check", "config", "generate"])
def test_help_on_a_command_is_what_the_command_says_of_itself(run: Run, command: str) -> None:
    asked, told = run("help", command), run(command, "--help")
    assert asked.status == told.status == 0
    assert asked.output == told.output
    assert asked.output.startswith(f"usage: hostler {'[run]' if command == 'run' else command}")
    assert "--workers-count" not in run("help", "version").output


def test_installed_program_is_the_same_as_the_module(run: Run) -> None:
    program = Path(sys.executable).with_name("hostler")
    if not program.exists():
        pytest.skip("the package is not installed as a program; `make dev` does that")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == run("--version").output


# Status 1 has no other cause than a defect; see the unit tests.


# Status 2


WRONG_LINES = [
    (["--bnd", "1"], "hostler: unknown option --bnd; did you mean --bind?\n"),
    (["check", "--treads", "1"], "hostler: unknown option --treads; did you mean --threads?\n"),
    (["-w", "0"], 'hostler: -w is "0"; it must be "auto" or a whole number from 1 to 1024\n'),
    (["--graceful-timeout", "soon"], None),
    (["--bind", "localhost:99999"], None),
    (["--trust", "10.0.0.0/99"], None),
    (["--access-log-format", "%(x"], None),
    (["-w"], None),
    (["rnu"], 'hostler: "rnu" is no command and no application here; did you mean "hostler run"?\n'),
    (["chekc"], 'hostler: "chekc" is no command and no application here; did you mean "hostler check"?\n'),
    (["config", "shwo"], 'hostler: unknown action "shwo"; did you mean show?\n'),
    (["config"], None),
    (["help", "rnu"], 'hostler: there is no help on "rnu"; did you mean run?\n'),
    (["version", "now"], None),
    (["stable:app", "barn:app"], 'hostler: unexpected argument "barn:app"; see hostler run --help\n'),
    (["--config", "no.toml"], "hostler: no.toml: cannot be read: No such file or directory\n"),
    (["--env", "production"], None),
    (["dev", "--watch", "no-such-directory", "stable"], None),
]


@pytest.mark.parametrize("arguments, wanted", WRONG_LINES, ids=[" ".join(each) for each, _ in WRONG_LINES])
def test_wrong_command_line_is_told_in_a_line(run: Run, stable: Path, arguments: list[str], wanted: str | None) -> None:
    done = run(*arguments)
    assert (done.status, done.output) == (2, "")
    assert done.error.startswith("hostler: ")
    assert done.error.count("\n") == 1
    if wanted is not None:
        assert done.error == wanted


WRONG_FILES = [
    ("[workers]\ncuont = 3\n", "hostler.toml:2: unknown option workers.cuont; did you mean workers.count?"),
    ('[workers]\n\ncount = "many"\n', "hostler.toml:3: workers.count is"),
    ("[wrokers]\ncount = 3\n", "hostler.toml:1: unknown section [wrokers]; did you mean [workers]?"),
    ("[app]\ntarget = 3\n", "hostler.toml:2: app.target is 3"),
    ("[env.production.limits]\nbody_sice = 1\n", "hostler.toml:2: unknown option"),
    ("[workers\n", "hostler.toml:1"),
]


@pytest.mark.parametrize("text, wanted", WRONG_FILES, ids=[wanted for _, wanted in WRONG_FILES])
def test_wrong_file_is_told_with_its_line(run: Run, stable: Path, text: str, wanted: str) -> None:
    write(stable, {"hostler.toml": text})
    for command in (["stable"], ["dev", "stable"], ["check", "stable"], ["config", "show"]):
        done = run(*command)
        assert (done.status, done.output) == (2, ""), command
        assert done.error.startswith(f"hostler: {wanted}")
        assert done.error.count("\n") == 1


def test_each_mistake_of_each_source_has_its_line(run: Run, stable: Path) -> None:
    write(stable, {"hostler.toml": "[workers]\ncount = 0\nthreads = 0\n"})
    done = run(
        "stable", "--server-backlog", "0", HOSTLER_LIMITS_HEADER_COUNT="none", HOSTLER_WORKERS_COUTN="2", PORT="web"
    )
    assert done.status == 2
    found = sorted(line.removeprefix("hostler: ").split()[0].rstrip(":") for line in done.error.splitlines())
    assert found == [
        "--server-backlog",
        "HOSTLER_LIMITS_HEADER_COUNT",
        "HOSTLER_WORKERS_COUTN",
        "PORT",
        "hostler.toml:2",
        "hostler.toml:3",
    ]
    assert "did you mean HOSTLER_WORKERS_COUNT?" in done.error


# Status 3


def test_empty_directory_explains_itself(run: Run, project: Path) -> None:
    for command in ([], ["run"], ["dev"], ["check"]):
        done = run(*command)
        assert done.status == 3
        first, *hints = done.error.splitlines()
        assert first == f"hostler: no application was named, and none was recognised in {project}"
        assert len(hints) == 3


MISSING = [
    ("barn:app", {}, '"barn:app": there is no module "barn"'),
    ("stabel:app", {}, 'did you mean "stable"?'),
    ("stable:ap", {}, '"stable:ap": module "stable" has no "ap"; did you mean "app"?'),
    ("stall/nine.py", {}, 'there is no file "stall/nine.py"'),
    ("three", {"three.py": "app = 3\n"}, '"three:app": that is an object of type int, not an application'),
    ("none", {"none.py": "x = 1\n"}, 'the module has none of app, application'),
    ("short:app", {"short.py": "def app(environ): pass\n"}, "takes one argument; WSGI calls an application with"),
    ("many:make()", {"many.py": MANY}, "the factory cannot be called like this"),
    ("many:make(open('x'))", {"many.py": MANY}, "a factory's arguments must be literals"),
    ("stable:app(", {}, "does not name an application"),
]  # fmt: skip


@pytest.mark.parametrize("target, files, wanted", MISSING, ids=[target for target, _, _ in MISSING])
def test_application_that_is_none_is_told_in_a_line(
    run: Run, stable: Path, target: str, files: dict[str, str], wanted: str
) -> None:
    write(stable, files)
    for command in ([], ["check"]):
        done = run(*command, target, "--bind", str(free_port()))
        assert done.status == 3
        assert wanted in done.error
        assert done.error.startswith("hostler: ")
        assert done.error.count("\n") == 1


@pytest.mark.parametrize("command", [(), ("check",)], ids=["run", "check"])
@pytest.mark.parametrize("options", [(), ("--preload",), ("--workers", "3")], ids=["alone", "preloaded", "three"])
def test_application_that_raises_is_shown_with_its_own_traceback(
    run: Run, project: Path, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    write(project, {"shop/__init__.py": "", "shop/web.py": RAISES})
    done = run(*command, "shop.web:app", "--bind", str(free_port()), *options)
    assert done.status == 3
    lines = done.error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f'  File "{project}/shop/web.py", line 2, in set_up' in lines
    assert lines[-1] == 'hostler: "shop.web:app" could not be loaded: LookupError: no hay (shop/web.py:2)'
    # Told once, however many workers have met it, and without Hostler's own frames.
    assert done.error.count("LookupError: no hay") == 2
    assert str(ROOT) not in done.error


def test_verbose_adds_the_way_through_hostler(run: Run, project: Path) -> None:
    write(project, {"web.py": RAISES})
    plain = run("check", "web")
    verbose = run("check", "web", "--verbose")
    assert plain.status == verbose.status == 3
    assert "hostler/cli/main.py" not in plain.error
    assert "hostler/cli/main.py" in verbose.error
    assert verbose.error.splitlines()[-1] == plain.error.splitlines()[-1]
    assert "hostler/cli/main.py" in run("--bnd", "1", "--verbose").error


def test_application_that_ends_the_process_is_told(run: Run, project: Path) -> None:
    write(project, {"leaves.py": "import sys\nsys.exit(7)\n", "falls.py": "import os\nos._exit(9)\n"})
    assert "ended the program while it was loaded (exit status 7)" in run("check", "leaves").error
    for command in ([], ["check"]):
        done = run(*command, "falls", "--bind", str(free_port()))
        assert done.status == 3
        assert re.search(r"\bstatus 9\b", done.error)
        assert done.error.count("\n") == 1


def test_several_applications_are_listed_not_guessed(run: Run, project: Path) -> None:
    flask = "import flask\napp = flask.Flask(__name__)\n"
    write(project, {"front.py": flask, "back.py": flask})
    done = run()
    assert done.status == 3
    assert "front:app (Flask)" in done.error
    assert "back:app (Flask)" in done.error


# Status 4


def test_address_in_use_is_told(run: Run, stable: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for command in ([], ["dev"]):
            done = run(*command, "stable", "--bind", f"127.0.0.1:{port}")
            assert (done.status, done.output) == (4, "")
            assert done.error == (
                f"hostler: http://127.0.0.1:{port} is in use by another program; stop it or choose another address\n"
            )


def test_server_that_could_not_have_all_addresses_has_none(run: Run, stable: Path) -> None:
    path = stable / "web.sock"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert run("stable", "--bind", f"unix:{path}", "--bind", taken).status == 4
    assert not path.exists()


@pytest.mark.parametrize("address", ["192.0.2.1:8000", "unix:no/such/directory/web.sock", "fd://77"])
def test_address_that_cannot_be_had_is_told_in_a_line(run: Run, stable: Path, address: str) -> None:
    done = run("stable", "--bind", address)
    assert (done.status, done.output) == (4, "")
    assert done.error.startswith("hostler: ")
    assert done.error.count("\n") == 1
    assert address.removeprefix("unix:") in done.error


# Status 5


@pytest.fixture
def humble() -> tuple[str, ...]:
    """What to put before a command so that it has no rights beyond those to its files."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not installed")
    return (setpriv, "--bounding-set", "-all", "--inh-caps", "-all")


def test_user_that_may_not_be_taken_on_is_told(run: Run, stable: Path, humble: tuple[str, ...]) -> None:
    if not humble:
        pytest.skip("only root may ask for another user; for others it is a wrong configuration")
    done = run("stable", "--user", "nobody", "--bind", str(free_port()), prefix=humble)
    assert (done.status, done.output) == (5, "")
    assert done.error.startswith("hostler: cannot become user ")
    assert done.error.count("\n") == 1


def test_port_that_needs_more_rights_is_told(run: Run, stable: Path, humble: tuple[str, ...]) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1:
        pytest.skip("here everybody may listen on every port")
    done = run("stable", "--bind", "127.0.0.1:1", prefix=humble)
    assert done.status == 5
    assert done.error == (
        "hostler: http://127.0.0.1:1: this user may not listen there; choose another address or start as root\n"
    )


def test_pid_file_that_cannot_be_written_is_told(run: Run, stable: Path) -> None:
    (stable / "file").write_text("")
    done = run("stable", "--pid-file", "file/hostler.pid", "--bind", str(free_port()))
    assert done.status == 5
    assert done.error.startswith("hostler: cannot write the pid file ")
    assert done.error.count("\n") == 1


# Statuses 130 and 141


def test_interrupted_command_ends_with_130(project: Path) -> None:
    # Not signal.pause(): a signal that comes just before it would not end it.
    (project / "slow.py").write_text("import time\nprint('loading', flush=True)\nwhile True:\n    time.sleep(0.01)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "hostler", "check", "slow"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"loading\n"
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to all of the foreground
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert b"Traceback" not in error
    wait_until(lambda: not is_group_alive(process.pid), "the process that loaded the application has ended too")


def test_output_that_nobody_reads_ends_with_141(run: Run, project: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "hostler", "help", "options"]
        done = subprocess.run(
            command, cwd=project, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# check and config show


def test_check_tells_what_is_fine(run: Run, stable: Path) -> None:
    write(stable, {"hostler.toml": '[app]\ntarget = "stable:app"\n[env.production.workers]\ncount = 3\n'})
    done = run("check", "--env", "production")
    assert (done.status, done.error) == (0, "")
    assert done.output == (
        f"configuration  fine ({stable}/hostler.toml, overlay production)\n"
        "application    fine (stable:app: stable.app, WSGI)\n"
    )


def test_check_names_the_framework_and_its_version(run: Run, project: Path) -> None:
    write(project, {"shop.py": "from flask import Flask\napp = Flask(__name__)\n"})
    done = run("check")
    assert done.status == 0
    assert re.search(
        r"^application    fine \(shop:app: flask\.app\.Flask, WSGI, Flask \d[^,]*, recognised by shop\.py\)$",
        done.output,
        re.MULTILINE,
    )


def test_config_show_tells_where_each_value_came_from(run: Run, stable: Path) -> None:
    lines = ["[app]", 'target = "stable:app"', "[workers]", "count = 2", "threads = 2", "max_requests = 2"]
    lines += ["[limits]", 'body_size = "1 MiB"', "[env.production.workers]", "threads = 8", "max_requests = 8"]
    write(stable, {"hostler.toml": "\n".join(lines) + "\n"})
    arguments = ["config", "show", "--env", "production", "--workers-max-requests-jitter", "5", "--max-requests", "9"]
    done = run(*arguments, HOSTLER_LIMITS_BODY_SIZE="2 MiB", HOSTLER_WORKERS_MAX_REQUESTS="7", PORT="8123")
    assert (done.status, done.error) == (0, "")
    shown = dict(re.findall(r"^(\S+ = .*?) +\((.*)\)$", done.output, re.MULTILINE))
    assert shown['app.target = "stable:app"'] == "hostler.toml:2"
    assert shown["workers.count = 2"] == "hostler.toml:4"
    assert shown["workers.threads = 8"] == "hostler.toml:10"
    assert shown["workers.max_requests = 9"] == "flag --max-requests"
    assert shown["workers.max_requests_jitter = 5"] == "flag --workers-max-requests-jitter"
    assert shown['server.bind = ["0.0.0.0:8123"]'] == "environment PORT"
    assert shown['limits.body_size = "2MiB"'] == "environment HOSTLER_LIMITS_BODY_SIZE"
    assert shown["limits.header_count = 100"] == "default"


def test_config_show_is_a_document_for_programs(run: Run, stable: Path) -> None:
    done = run("config", "show", "--json", "--threads", "3", HOSTLER_ENV="")
    assert done.status == 0
    document = json.loads(done.output)
    assert document["options"]["workers.threads"] == {
        "value": 3,
        "source": "flag",
        "where": "--threads",
        "origin": "flag --threads",
    }


def test_shown_values_can_be_written_back_into_a_file(run: Run, stable: Path) -> None:
    """What `config show` prints is TOML with dotted keys: as a file it gives the same configuration."""
    first = run("config", "show", "stable:app", "--threads", "3", "--access-log", "-", "--graceful-timeout", "90")
    values = re.findall(r"^(\S+ = .*?) +\((?:flag|argument|default).*\)$", first.output, re.MULTILINE)
    write(stable, {"hostler.toml": "\n".join(each for each in values if not each.endswith(' = ""')) + "\n"})
    second = run("config", "show")
    assert second.status == 0, second.error
    again = re.findall(r"^(\S+ = .*?) +\(.*\)$", second.output, re.MULTILINE)
    assert again == values


# What is served


FORMS = [
    ("stable:app", "from the stable"),
    ("stable", "from the stable"),
    ("many", "by the usual factory 1"),
    ("many:third", "another name 1"),
    ("many:Stalls.front", "an attribute of an attribute 1"),
    ("many:make('bay', count=3)", "bay 3"),
    ("many:create_app()", "by the usual factory 1"),
    ("path/to/site.py", "from the stable"),
    ("./path/to/site.py:app", "from the stable"),
    ("path/to/deploy.wsgi", "from the stable"),
    ("package.web", "imports its neighbour"),
    ("package/web.py", "imports its neighbour"),
]


@pytest.mark.parametrize("target, wanted", FORMS, ids=[target for target, _ in FORMS])
def test_application_is_served_however_it_is_named(
    hostler_server: StartServer, stable: Path, target: str, wanted: str
) -> None:
    neighbour = "from .neighbour import app\n"
    write(stable, {"many.py": MANY, "path/to/site.py": APP, "path/to/deploy.wsgi": APP, "package/__init__.py": ""})
    write(stable, {"package/web.py": neighbour, "package/neighbour.py": APP.replace("from the stable", wanted)})
    server = hostler_server(target, cwd=stable)
    assert server.get("/").text == wanted
    server.stderr.wait_for(f"  application  {target}\n")


FLASK = 'import flask\n{name} = flask.Flask(__name__)\n@{name}.get("/")\ndef index():\n    return "a flask"\n'
FACTORY = "from flask import Flask\ndef create_app():\n    app = Flask(__name__)\n    @app.get('/')\n"
FACTORY += "    def index():\n        return 'made'\n    return app\n"
PROJECTS = [
    ("flask-app", {"app.py": FLASK.format(name="app")}, "app:app (Flask)", "a flask"),
    ("flask-any-name", {"hay.py": FLASK.format(name="barn")}, "hay:barn (Flask)", "a flask"),
    ("flask-factory", {"shop/__init__.py": FACTORY}, "shop:create_app() (Flask)", "made"),
    ("plain-wsgi", {"wsgi.py": APP.replace("def app", "def application")}, "wsgi:application", "from the stable"),
    ("plain-app", {"app.py": APP}, "app:app", "from the stable"),
]


@pytest.mark.parametrize(
    "files, application, wanted", [each[1:] for each in PROJECTS], ids=[each[0] for each in PROJECTS]
)
def test_project_is_recognised_and_served(
    hostler_server: StartServer, project: Path, files: dict[str, str], application: str, wanted: str
) -> None:
    write(project, files)
    server = hostler_server(None, command=(), cwd=project)
    assert server.get("/").text == wanted
    server.stderr.wait_for(f"  application  {application}\n")


def test_new_django_project_is_recognised_and_served(hostler_server: StartServer, project: Path) -> None:
    command = [sys.executable, "-m", "django", "startproject", "mysite", str(project)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    server = hostler_server(None, command=(), cwd=project)
    server.stderr.wait_for(
        "  application  mysite.wsgi:application (Django, WSGI; for ASGI name mysite.asgi:application)\n"
    )
    assert "The install worked successfully" in server.get("/").text


def test_named_application_wins_over_a_recognised_one(hostler_server: StartServer, stable: Path) -> None:
    write(stable, {"app.py": FLASK.format(name="app"), "hostler.toml": '[app]\ntarget = "app:app"\n'})
    assert hostler_server("stable", command=(), cwd=stable).get("/").text == "from the stable"


def test_variables_of_platforms_are_followed(hostler_server: StartServer, stable: Path) -> None:
    port = free_port()
    variables = {"PORT": str(port), "WEB_CONCURRENCY": "3"}
    server = hostler_server("stable", command=(), bind="", cwd=stable, env=variables)
    server.stderr.wait_for(f"  listening    http://0.0.0.0:{port}\n")
    server.stderr.wait_for("  workers      3 x 4 threads\n")
    # From outside as well: all of 127.0.0.0/8 is this machine, and this is not the address of the default.
    with socket.create_connection(("127.0.0.2", port), PATIENCE) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"".join(iter(lambda: stream.recv(65536), b"")).endswith(b"from the stable")


def test_option_wins_over_the_variables_of_platforms(hostler_server: StartServer, stable: Path) -> None:
    variables = {"PORT": str(free_port()), "WEB_CONCURRENCY": "3", "HOSTLER_WORKERS_COUNT": "2"}
    server = hostler_server("stable", command=(), cwd=stable, env=variables)
    server.stderr.wait_for(f"  listening    {server.url}\n")
    server.stderr.wait_for("  workers      2 x 4 threads\n")


def test_overlay_is_served(hostler_server: StartServer, stable: Path) -> None:
    text = '[app]\ntarget = "stable"\n[workers]\ncount = 1\n[env.production.workers]\ncount = 2\n'
    write(stable, {"hostler.toml": text})
    for options, variables in ((("--env", "production"), {}), ((), {"HOSTLER_ENV": "production"})):
        server = hostler_server(None, *options, command=(), cwd=stable, env=variables)
        server.stderr.wait_for("  workers      2 x 4 threads\n")
        assert len(server.children()) == 2


def test_start_that_fails_leaves_no_process_and_no_socket(hostler_server: StartServer, project: Path) -> None:
    write(project, {"web.py": RAISES})
    with pytest.raises(ServerError, match="no hay"):
        hostler_server("web", "--workers", "4", bind=f"unix:{project}/web.sock", cwd=project)
    assert not (project / "web.sock").exists()
