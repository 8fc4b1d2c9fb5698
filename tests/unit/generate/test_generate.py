"""Values in generated files come from the configuration; what cannot be is told."""

# ruff: noqa: E501 - messages and lines of generated files stand whole, to be found by searching

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hostler.cli.main import main
from hostler.generate import KINDS

Output = pytest.CaptureFixture[str]
Generate = Callable[..., str]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "My Shop 2"
    directory.mkdir()
    monkeypatch.chdir(directory)
    for name in ("PORT", "WEB_CONCURRENCY", "HOSTLER_ENV", "HOSTLER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return directory


@pytest.fixture
def generate(capsys: Output) -> Generate:
    """A function that gives what `hostler generate ARGUMENTS` prints."""

    def run(*arguments: str) -> str:
        assert main(["generate", *arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refuse(capsys: Output) -> Generate:
    """A function that gives what `hostler generate ARGUMENTS` is refused with."""

    def run(*arguments: str, status: int = 2) -> str:
        assert main(["generate", *arguments]) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.removeprefix("hostler: ").removesuffix("\n")

    return run


# All kinds


@pytest.mark.parametrize("kind", list(KINDS))
def test_heading_says_what_to_do_with_the_file(project: Path, generate: Generate, kind: str) -> None:
    (project / "hostler.toml").write_text("[env.stag]\n[env.prod]\n", encoding="utf-8")
    text = generate(kind, "a:app")
    first = next(line for line in text.splitlines() if not line.startswith("# ----"))
    assert re.fullmatch(rf"# .*\bmy-shop\b.*Made by `hostler generate {kind}`; yours to change\.", first)
    assert re.search("^# (Put it in place|The image)", text, re.MULTILINE)
    assert re.search(r"^# .*[Cc]heck|^# Build:", text, re.MULTILINE)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_kind_must_be_named(refuse: Generate) -> None:
    kinds = "nginx, apache, systemd, docker, compose, kubernetes, makefile, procfile"
    assert refuse() == f'say what to generate: "hostler generate KIND", where KIND is {kinds}'
    assert refuse("ngins") == f'"ngins" cannot be generated; did you mean nginx? there are {kinds}'
    assert refuse("helm") == f'"helm" cannot be generated; there are {kinds}'


@pytest.mark.parametrize("arguments", [["--help"], ["nginx", "--help"], ["nginx", "--help-all"]])
def test_help_lists_what_can_be_chosen(capsys: Output, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["generate", *arguments])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "--tls-secret NAME" in text
    # The option of the schema that is spelled the same, the name in process titles, gives way.
    assert len(re.findall(r"^  --server-name HOST", text, re.MULTILINE)) == 1


@pytest.mark.parametrize(
    "arguments,expected",
    [
        (["nginx", "--image", "x"], "--image is for compose and kubernetes, not for nginx; leave it out"),
        (["compose", "--replicas", "3"], "--replicas is for kubernetes, not for compose; leave it out"),
        (["kubernetes", "--replicas", "0"], '--replicas is "0"; it must be a whole number from 1 to 1000'),
        (["nginx", "--tls-key", "/k"], "--tls-key needs --tls-certificate; give both, or neither"),
        (["nginx", "--tls-key", "/k", "--tls-certificate", "/c"], "a certificate is for a name: say which with --server-name"),
        (["kubernetes", "--tls-secret", "x"], "a certificate is for a name: say which with --server-name"),
        (["nginx", "--server-name", "https://a.org"], '--server-name is "https://a.org"; it must be host names separated by commas, without scheme and port'),
        (["nginx", "--tls-key", "k", "--tls-certificate", "/c"], '--tls-key is "k"; it must be an absolute path'),
        (["nginx", "--static", "static=/s"], '--static is "static=/s"; it must be PREFIX=DIR with a prefix such as /static/'),
        (["nginx", "--static", "/static/=/s;x"], "--static /static/ is \"/s;x\"; a path with ';' cannot be written into the file"),
        (["nginx", "--force"], "--force overwrites files, and without --output none are written; add --output DIR"),
        (["nginx", "--name", "My Shop"], '--name is "My Shop"; it must be lower-case letters, digits and hyphens, a letter first'),
        (["docker", "--python", "2.7"], '--python is "2.7"; it must be a version such as "3.13"'),
        (["docker", "--health-path", "health"], '--health-path is "health"; it must be a path such as /health'),
        (["compose", "--image", "a b"], '--image is "a b"; it must be the name of an image, such as "example.org/site:1.0"'),
        (["nginx", "--bind", "unix:@x"], "nginx cannot connect to unix:@x; it needs a TCP port, or a socket with a path, and no header of the PROXY protocol: name one with --upstream"),
        (["apache", "--bind", "8000?proxy_protocol=on"], "Apache cannot connect to 8000?proxy_protocol=on; it needs a TCP port, or a socket with a path, and no header of the PROXY protocol: name one with --upstream"),
        (["systemd", "--bind", "fd://web"], "fd://web does not say what systemd shall listen on; say it with --bind ADDRESS"),
        (["systemd", "--bind", ":0"], "http://0.0.0.0:0 leaves the port to the kernel; name one with --bind, or add --no-socket"),
        (["systemd", "--bind", "a.org:80"], "http://a.org:80: a socket unit takes addresses, not names; write the address of a.org, or add --no-socket"),
        (["systemd", "--bind", "unix:/a?mode=600", "--bind", "unix:/b"], "server.bind has unix sockets of different modes or owners, and one socket unit gives all the same; make them equal, or add --no-socket"),
        (["systemd", "--program", "hostler"], '--program is "hostler"; it must be an absolute path'),
        (["makefile"], "make stag needs an overlay in hostler.toml, and it has none; add [env.staging] (or stag, stage)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(refuse: Generate, arguments: list[str], expected: str) -> None:
    kind, *options = arguments
    assert refuse(kind, "a:app", *options) == expected


@pytest.mark.parametrize("kind", ["systemd", "docker", "compose", "kubernetes", "makefile", "procfile"])
def test_what_starts_the_application_must_know_it(refuse: Generate, project: Path, kind: str) -> None:
    expected = (
        f"no application was named, and none was recognised in {project}; name it: hostler generate {kind} app:app"
    )
    assert refuse(kind, status=3) == expected


def test_application_that_was_recognised_is_named(project: Path, generate: Generate) -> None:
    (project / "site.py").write_text("from flask import Flask\napp = Flask(__name__)\n", encoding="utf-8")
    assert "web: hostler run site:app --bind" in generate("procfile")
    # It is known to be WSGI, which has no WebSockets.
    assert "upgrade" not in generate("nginx").lower()


def test_what_the_file_says_is_left_to_the_file(project: Path, generate: Generate) -> None:
    (project / "other.toml").write_text('[app]\ntarget = "a:app"\n[workers]\ncount = 3\n[env.live]\n', encoding="utf-8")
    text = generate(
        "procfile", "--config", "other.toml", "--env", "live", "--threads", "9", "--preload", "--no-reuse-port"
    )
    expected = "web: hostler run --config other.toml --env live --preload --no-reuse-port --threads 9 --bind 0.0.0.0:${PORT:-8000}"
    assert text.splitlines()[-1] == expected


def test_values_of_variables_are_written_down(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTLER_TRUST_NETWORKS", "10.0.0.0/8, ::1")
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    monkeypatch.setenv("HOSTLER_APP_PRELOAD", "yes")
    text = generate("procfile", "a:app")
    assert "a:app --preload --workers 3 --trust 10.0.0.0/8 --trust ::1 --bind" in text


SECRETS = ("--app-env", "DATABASE_URL=postgres://me:hush@db/x", "--app-env", "API_TOKEN=hush", "--app-env", "DEBUG=no")


@pytest.mark.parametrize("kind", ["systemd", "docker", "compose", "kubernetes", "procfile"])
def test_secrets_are_named_and_not_written(generate: Generate, kind: str) -> None:
    text = generate(kind, "a:app", *SECRETS)
    assert "hush" not in text
    assert "DEBUG=no" in text
    if kind != "docker":
        assert "API_TOKEN, DATABASE_URL" in text


def test_required_variables_are_named(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER", "x")
    text = generate("systemd", "a:app", "--require", "LEDGER")
    assert "# It must have: LEDGER\nEnvironmentFile=/etc/my-shop.env\n" in text


def test_image_s_maker_is_told_of_secrets_in_the_file(project: Path, generate: Generate) -> None:
    text = '[app]\ntarget = "a:app"\nenv = { API_TOKEN = "hush", PASSWORD = { file = "p" } }\n'
    (project / "hostler.toml").write_text(text, encoding="utf-8")
    (project / "p").write_text("hush", encoding="utf-8")
    assert "# Move there what hostler.toml holds of secrets: API_TOKEN\n" in generate("docker")


# Writing


def test_files_are_written_and_never_over_others(project: Path, capsys: Output) -> None:
    assert main(["generate", "systemd", "a:app", "--output", "deploy/units"]) == 0
    where = project / "deploy" / "units"
    lines = [f"wrote {where / name}" for name in ("my-shop.service", "my-shop.socket")]
    assert capsys.readouterr().out.splitlines() == lines
    (where / "my-shop.service").unlink()
    (where / "my-shop.socket").write_text("mine", encoding="utf-8")
    assert main(["generate", "systemd", "a:app", "--output", "deploy/units"]) == 2
    expected = f"hostler: {where}/my-shop.socket exists, and is not overwritten without --force; nothing was written\n"
    assert capsys.readouterr().err == expected
    assert [path.name for path in where.iterdir()] == ["my-shop.socket"]
    assert (where / "my-shop.socket").read_text(encoding="utf-8") == "mine"
    assert main(["generate", "systemd", "a:app", "--output", "deploy/units", "--force"]) == 0
    assert "[Socket]" in (where / "my-shop.socket").read_text(encoding="utf-8")


def test_directory_that_cannot_be_made_is_told(project: Path, capsys: Output) -> None:
    (project / "taken").write_text("", encoding="utf-8")
    assert main(["generate", "procfile", "a:app", "--output", "taken/x"]) == 2
    assert "taken/x/Procfile: cannot be written: Not a directory" in capsys.readouterr().err


# Web servers


def test_nginx_has_hostlers_limits_and_timeouts(generate: Generate) -> None:
    options = ("--limits-body-size", "5MiB", "--http-head-timeout", "1500ms", "--http-keep-alive-timeout", "10s")
    text = generate("nginx", "a:app", *options, "--websocket-ping-interval", "2m")
    for line in (
        "client_max_body_size 5m;",
        "client_header_timeout 2s;",
        "large_client_header_buffers 4 16k;",
        "keepalive_timeout 8s;",
        "proxy_read_timeout 145s;",
        "server 127.0.0.1:8000;",
    ):
        assert line in text


@pytest.mark.parametrize(
    "bind,nginx,apache",
    [
        (":8000", "127.0.0.1:8000", "http://127.0.0.1:8000/"),
        ("[::]:8000", "[::1]:8000", "http://[::1]:8000/"),
        ("10.0.0.2:81", "10.0.0.2:81", "http://10.0.0.2:81/"),
        ("unix:/run/x.sock?mode=660", "unix:/run/x.sock", "unix:/run/x.sock|http://my-shop/"),
    ],
)
def test_upstream_is_the_listener(generate: Generate, bind: str, nginx: str, apache: str) -> None:
    assert f"    server {nginx};\n" in generate("nginx", "a:app", "--bind", bind)
    assert f'ProxyPass "/" "{apache}" ' in generate("apache", "a:app", "--bind", bind)
    assert f"    server {nginx};\n" in generate("nginx", "a:app", "--bind", "fd://3", "--upstream", bind)


def test_socket_with_a_path_goes_before_a_port(generate: Generate) -> None:
    assert "server unix:/run/x.sock;" in generate("nginx", "a:app", "-b", ":8000", "-b", "unix:/run/x.sock")


@pytest.mark.parametrize(
    "options,expected",
    [
        ((), None),
        (("--bind", "unix:/x"), None),
        (("--trust", "127.0.0.0/8"), None),
        (("--trust", "10.0.0.0/8"), "Hostler does not believe this server's X-Forwarded-* headers: trust.networks lacks its address."),
        (("--trust", "10.0.0.0/8", "--bind", "unix:/x"), "Hostler does not believe this server's X-Forwarded-* headers: trust.networks lacks its address."),
        (("--bind", "10.0.0.2:8000"), "Let Hostler believe this server: list its address in trust.networks."),
        (("--bind", "10.0.0.2:8000", "--trust", "*"), None),
    ],
)  # fmt: skip
def test_trust_that_is_missing_is_told(generate: Generate, options: tuple[str, ...], expected: str | None) -> None:
    text = generate("nginx", "a:app", *options)
    assert (f"# {expected}\n" in text) if expected else ("believe" not in text)


def test_connections_that_hostler_closes_at_once_are_not_kept(generate: Generate) -> None:
    assert "keepalive 32" not in generate("nginx", "a:app", "--http-keep-alive-timeout", "0")
    assert "disablereuse=on" in generate("apache", "a:app", "--http-keep-alive-timeout", "0")


def test_wsgi_with_asgi_beside_it_has_upgrades(generate: Generate) -> None:
    assert "$connection" not in generate("nginx", "a:app", "--interface", "wsgi")
    assert "$my_shop_connection" in generate("nginx", "a:app", "--interface", "wsgi", "--app-mounts", "/ws=a:live")
    assert "upgrade=websocket" in generate("apache", "a:app", "--interface", "asgi")


# systemd


def read(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def test_service_waits_for_start_and_drain(project: Path, generate: Generate) -> None:
    text = generate(
        "systemd", "a:app", "--graceful-timeout", "90s", "--workers-boot-timeout", "2m", "--server-umask", "27"
    )
    assert read(text, "TimeoutStopSec") == ["105"]
    assert read(text, "TimeoutStartSec") == ["135"]
    assert read(text, "UMask") == ["0027"]
    assert read(text, "WorkingDirectory") == [str(project)]
    assert read(text, "User") == ["my-shop"]


def test_words_are_quoted_as_systemd_reads_them(generate: Generate) -> None:
    text = generate("systemd", "a:app", "--program", "/opt/hostler", "--app-env", 'A=50% of $HOME "x" \\')
    assert read(text, "ExecStart") == [r'/opt/hostler run a:app --app-env "A=50%% of $$HOME \"x\" \\"']


def test_socket_unit_has_the_addresses(generate: Generate) -> None:
    binds = ("unix:/run/x.sock?mode=660&group=www-data", "localhost:8001", "[::1]:8002", ":8003", "unix:@x")
    text = generate(
        "systemd", "a:app", *(word for bind in binds for word in ("--bind", bind)), "--server-backlog", "64"
    )
    assert read(text, "ListenStream") == ["/run/x.sock", "127.0.0.1:8001", "[::1]:8002", "0.0.0.0:8003", "@x"]
    assert (read(text, "SocketMode"), read(text, "SocketGroup"), read(text, "Backlog")) == (
        ["0660"],
        ["www-data"],
        ["64"],
    )
    assert read(text, "Requires") == ["my-shop.socket"]
    assert "--bind" not in "".join(read(text, "ExecStart"))


@pytest.mark.parametrize(
    "options",
    [("--no-socket",), ("--reuse-port",), ("--bind", "uwsgi://127.0.0.1:8000"), ("--bind", "80?proxy_protocol=on")],
)
def test_hostler_binds_what_systemd_cannot_hand_over(generate: Generate, options: tuple[str, ...]) -> None:
    text = generate("systemd", "a:app", *options)
    assert "[Socket]" not in text
    assert read(text, "Requires") == []


def test_service_may_do_what_it_is_told_to(generate: Generate) -> None:
    places = ("--log-file", "/var/log/shop/log", "--pid-file", "/run/shop/pid", "--http-body-directory", "/srv/bodies")
    text = generate("systemd", "a:app", "--no-socket", "--bind", ":80", "--bind", "unix:/run/site/x.sock", *places)
    assert read(text, "AmbientCapabilities") == ["CAP_NET_BIND_SERVICE"]
    assert read(text, "RuntimeDirectory") == ["shop site"]
    assert read(text, "ReadWritePaths") == ["-/srv/bodies -/var/log/shop"]
    assert read(generate("systemd", "a:app", "--bind", ":80"), "CapabilityBoundingSet") == [""]


def test_home_can_be_read_where_the_project_is_in_one(generate: Generate) -> None:
    assert read(generate("systemd", "a:app", "--program", "/opt/h", "--directory", "/home/me/shop"), "ProtectHome") == [
        "read-only"
    ]
    assert read(generate("systemd", "a:app", "--program", "/opt/h", "--directory", "/srv/shop"), "ProtectHome") == [
        "true"
    ]


# Containers


def test_container_listens_where_others_reach_it(generate: Generate) -> None:
    assert '"--bind", "0.0.0.0:9000"]' in generate("docker", "a:app", "--bind", "127.0.0.1:9000")
    text = generate("compose", "a:app", "--bind", "[::1]:80")
    assert '"--bind", "0.0.0.0:8000"]' in text
    assert '- "[::1]:80:8000"' in text
    assert '- "9000:9000"' in generate("compose", "a:app", "--bind", ":9000")
    assert '- "127.0.0.1:8000:8000"' in generate("compose", "a:app", "--bind", "unix:/run/x")


def test_what_the_file_says_of_users_and_logs_is_overruled_in_the_image(project: Path, generate: Generate) -> None:
    text = f'[app]\ntarget = "a:app"\n[server]\nuser = "{Path.home().owner()}"\npid_file = "x"\n[log]\nfile = "y"\naccess = "z"\n'
    (project / "hostler.toml").write_text(text, encoding="utf-8")
    expected = (
        '["hostler", "run", "--bind", "0.0.0.0:8000", "--user=", "--pid-file=", "--log-file=-", "--access-log=-"]'
    )
    assert f"CMD {expected}\n" in generate("docker")


def test_file_outside_the_image_is_refused(tmp_path: Path, project: Path, refuse: Generate) -> None:
    (tmp_path / "far.toml").write_text("", encoding="utf-8")
    expected = f"{tmp_path}/far.toml is outside {project}, which the image is made of; move it there"
    assert refuse("docker", "a:app", "--config", str(tmp_path / "far.toml")) == expected


def test_dependencies_are_installed_as_the_project_says(project: Path, generate: Generate) -> None:
    assert "add what the application needs" in generate("docker", "a:app")
    (project / "pyproject.toml").write_text('dependencies = [\n    "hostler>=0.1",\n]\n', encoding="utf-8")
    assert "RUN pip install --no-cache-dir .\n" in generate("docker", "a:app")
    (project / "pyproject.toml").write_text('dependencies = ["hostler-theme"]\n', encoding="utf-8")
    assert "hostler==" in generate("docker", "a:app")
    (project / "pyproject.toml").write_text('dependencies = ["flask", "hostler[uvloop]"]\n', encoding="utf-8")
    assert "hostler==" not in generate("docker", "a:app")
    (project / "pyproject.toml").write_text("", encoding="utf-8")
    (project / "requirements.txt").write_text("flask\n", encoding="utf-8")
    assert re.search(
        r"pip install --no-cache-dir hostler==[\d.]+ --requirement requirements.txt\n", generate("docker", "a:app")
    )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert generate("docker", "a:app").count(f"FROM python:{version}-slim") == 2
    assert "FROM python:3.14-slim" in generate("docker", "a:app", "--python", "3.14")


def test_what_reads_yaml_is_installed_where_the_file_is_yaml(project: Path, generate: Generate) -> None:
    (project / "hostler.yaml").write_text("app:\n  target: a:app\n", encoding="utf-8")
    assert "pip install --no-cache-dir hostler[yaml]==" in generate("docker")


def test_health_path_decides_what_is_asked(generate: Generate) -> None:
    assert "c.request('GET', '/'); sys.exit(c.getresponse().status >= 500)" in generate("docker", "a:app")
    assert "c.request('GET', '/up'); sys.exit(c.getresponse().status >= 400)" in generate(
        "docker", "a:app", "--health-path", "/up"
    )
    text = generate("kubernetes", "a:app", "--health-path", "/up", "--server-name", "a.org")
    assert text.count('httpGet: {path: "/up", port: http, httpHeaders: [{name: Host, value: "a.org"}]}') == 2


def test_orchestrator_waits_longer_than_hostler_drains(generate: Generate) -> None:
    assert "stop_grace_period: 95s" in generate("compose", "a:app", "--graceful-timeout", "90s")
    assert "terminationGracePeriodSeconds: 100" in generate("kubernetes", "a:app", "--graceful-timeout", "90s")
    assert "failureThreshold: 60" in generate("kubernetes", "a:app", "--workers-boot-timeout", "2m")


def test_workers_of_a_pod_follow_a_limit(generate: Generate) -> None:
    assert 'limits: {cpu: "1", memory: 512Mi}' in generate("kubernetes", "a:app", "--workers", "auto")
    assert "limits: {memory: 512Mi}" in generate("kubernetes", "a:app", "--workers", "2")


def test_dollar_signs_stay_what_they_are(generate: Generate) -> None:
    assert '"A=$$(HOME)"' in generate("kubernetes", "a:app", "--app-env", "A=$(HOME)")
    assert '"A=$$HOME"' in generate("compose", "a:app", "--app-env", "A=$HOME")


@pytest.mark.parametrize("kind", ["compose", "kubernetes"])
def test_trust_is_asked_for_where_the_front_is_elsewhere(generate: Generate, kind: str) -> None:
    assert "--trust NETWORK" in generate(kind, "a:app")
    assert "--trust NETWORK" not in generate(kind, "a:app", "--trust", "10.0.0.0/8")


# Makefile


def test_makefile_finds_overlays_by_their_usual_names(project: Path, generate: Generate) -> None:
    (project / "hostler.toml").write_text('[app]\ntarget = "a:app"\n[env.staging]\n[env.live]\n', encoding="utf-8")
    text = generate("makefile", "--program", "hostler", "--app-env", "A=$x")
    for line in (
        "\t@exec $(HOSTLER) dev --app-env 'A=$$x'",
        "\t@exec $(HOSTLER) run --app-env 'A=$$x' --env staging",
        "\t@exec $(HOSTLER) run --app-env 'A=$$x' --env live",
    ):
        assert line in text.splitlines()


def test_makefile_is_for_all_environments(project: Path, refuse: Generate) -> None:
    (project / "hostler.toml").write_text("[env.stag]\n", encoding="utf-8")
    expected = 'a Makefile runs all environments, and --env or HOSTLER_ENV is "stag"; leave it out'
    assert refuse("makefile", "a:app", "--env", "stag") == expected
    expected = "make prod needs an overlay in hostler.toml, and it has stag; add [env.production] (or prod, live)"
    assert refuse("makefile", "a:app") == expected


# What is seen of the project


def test_certificate_makes_a_redirect(generate: Generate) -> None:
    options = ("--tls-certificate", "/etc/my certs/c", "--tls-key", "/k", "--server-name", "a.org,b.org")
    text = generate("nginx", "a:app", *options, "--static", "/s/=/srv/my files")
    for line in (
        "    listen 443 ssl;",
        '    ssl_certificate "/etc/my certs/c";',
        "    ssl_certificate_key /k;",
        "    return 301 https://$host$request_uri;",
        '        alias "/srv/my files/";',
    ):
        assert line in text.splitlines()
    text = generate("apache", "a:app", *options, "--static", "/s/=/srv/my files")
    for line in (
        '    Redirect permanent "/" "https://a.org/"',
        "    ServerAlias b.org",
        '    SSLCertificateFile "/etc/my certs/c"',
        '    ProxyPass "/s/" "!"',
        "# Modules:          a2enmod proxy proxy_http headers ssl",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("kind", ["nginx", "apache"])
def test_one_family_of_headers_is_set_and_the_other_emptied(generate: Generate, kind: str) -> None:
    text = generate(kind, "a:app", "--trust-headers", "forwarded", "--http-request-body", "stream")
    assert re.search(r"Forwarded +\"(\$my_shop_for|expr=for=)", text)
    for name in ("For", "Proto", "Host", "Port", "Prefix"):
        assert re.search(rf'X-Forwarded-{name} +""|unset X-Forwarded-{name}', text)
    assert ("proxy_request_buffering off;" in text) == (kind == "nginx")


def test_interface_is_unknown_where_several_applications_are(project: Path, generate: Generate) -> None:
    for name in ("one", "two"):
        (project / f"{name}.py").write_text("from flask import Flask\nsite = Flask(__name__)\n", encoding="utf-8")
    assert "$my_shop_connection" in generate("nginx", "one:site")
    (project / "two.py").unlink()
    assert "$my_shop_connection" not in generate("nginx", "one:site")


def test_upstream_by_name_may_need_trust(generate: Generate) -> None:
    text = generate("nginx", "a:app", "--upstream", "app.internal:8000")
    assert "    server app.internal:8000;\n" in text
    assert "# Let Hostler believe this server" in text
    assert "believe" not in generate("nginx", "a:app", "--upstream", "localhost:8000")


def test_port_that_a_platform_gave_is_written_down(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5000")
    assert "--bind 0.0.0.0:${PORT:-5000}" in generate("procfile", "a:app")
    assert "server 127.0.0.1:5000;" in generate("nginx", "a:app")


def test_dependencies_that_are_no_text_are_told(project: Path, refuse: Generate) -> None:
    (project / "requirements.txt").write_bytes(b"\xff\xfe")
    assert "requirements.txt: cannot be read: " in refuse("docker", "a:app")


def test_name_is_made_of_whatever_there_is(generate: Generate) -> None:
    assert "upstream my-site-2 {" in generate("nginx", "a:app", "--name", "my-site-2")
