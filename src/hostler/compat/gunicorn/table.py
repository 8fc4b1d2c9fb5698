"""Every setting of Gunicorn 27, in the order of its documentation, with what Hostler makes of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from hostler.compat.gunicorn import rule
from hostler.compat.gunicorn.kind import (
    one_of,
    take_account,
    take_anything,
    take_class,
    take_cleartext,
    take_function,
    take_integer,
    take_list,
    take_mask,
    take_networks,
    take_protocols,
    take_proxy_protocol,
    take_switch,
    take_table,
    take_words,
)
from hostler.compat.gunicorn.setting import Fate, Setting

# The version whose settings these are.
VERSION = "27.0.1"

_M, _S, _W, _R, _H, _D = Fate.MAPPED, Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.HOOK, Fate.DOOR
_STRICT = "Hostler refuses such requests, as the HTTP specifications ask"
_DIRTY = "Hostler has no dirty workers; run such tasks with a task queue"
_LOGGING = "applied in each worker, for the application's loggers; the server's own lines follow log.level and log.file"

SETTINGS: tuple[Setting, ...] = (
    # Configuration
    Setting("config", _D, "`./gunicorn.conf.py` if it is there; `file:` and `python:` too", ("-c", "--config"),
            default="./gunicorn.conf.py"),
    Setting("wsgi_app", _M, "a module alone stands for its `application`", options=("app.target",),
            rule=rule.map_application),
    # Sockets
    Setting("bind", _M, "", ("-b", "--bind"), take_list, ["127.0.0.1:8000"], ("server.bind",), rule.map_bind,
            is_repeated=True, variable="PORT"),
    Setting("backlog", _M, "", ("--backlog",), take_integer, 2048, ("server.backlog",)),
    # Workers
    Setting("workers", _M, "", ("-w", "--workers"), take_integer, 1, ("workers.count",), rule.map_workers,
            variable="WEB_CONCURRENCY"),
    Setting("worker_class", _M,
            "`sync` and `gthread` are WSGI in `threads` threads, `asgi` and Uvicorn's workers are ASGI; `gevent` and "
            "`eventlet` become up to 64 threads without monkey-patching",
            ("-k", "--worker-class"), take_class, "sync", ("app.interface", "workers.threads"), rule.map_worker_class),
    Setting("threads", _M, "Gunicorn's default of 1 is kept, as the application may not be safe in threads",
            ("--threads",), take_integer, 1, ("workers.threads",), rule.map_threads),
    Setting("worker_connections", _M, "", ("--worker-connections",), take_integer, 1000, ("limits.connections",),
            rule.map_connections),
    Setting("max_requests", _M, "", ("--max-requests",), take_integer, 0, ("workers.max_requests",)),
    Setting("max_requests_jitter", _M, "", ("--max-requests-jitter",), take_integer, 0,
            ("workers.max_requests_jitter",), rule.map_jitter),
    Setting("timeout", _M,
            "bounds the start of a worker; no worker is killed for a long request, and slow clients have "
            "of sync workers it is `deadlines.default` if given; what others mean by it are `http.head_timeout`, "
            "`http.body_timeout` and `http.write_timeout`",
            ("-t", "--timeout"), take_integer, 30, ("workers.boot_timeout", "deadlines.default"), rule.map_timeout),
    Setting("graceful_timeout", _M, "", ("--graceful-timeout",), take_integer, 30, ("server.graceful_timeout",)),
    Setting("keepalive", _M, "if it is not set, Hostler's 75 seconds hold", ("--keep-alive",), take_integer, 2,
            ("http.keep_alive_timeout",)),
    # Limits
    Setting("limit_request_line", _M, "if it is not set, Hostler's 8190 hold; 0 is 64 KiB", ("--limit-request-line",),
            take_integer, 4094, ("limits.request_line",), rule.map_request_line),
    Setting("limit_request_fields", _M, "", ("--limit-request-fields",), take_integer, 100, ("limits.header_count",),
            rule.map_fields),
    Setting("limit_request_field_size", _M, "if it is not set, Hostler's 16 KiB hold; 0 is 64 KiB",
            ("--limit-request-field_size",), take_integer, 8190, ("limits.header_size",), rule.map_field_size),
    # Debugging
    Setting("reload", _D, "a watcher reloads when a file changes, new workers first; see also `hostler dev`",
            ("--reload",), take_switch, False, constant=True),
    Setting("reload_engine", _S, "the watcher asks the kernel where it can", ("--reload-engine",),
            one_of("auto", "poll", "inotify"), "auto"),
    Setting("reload_extra_files", _D, "further files that are watched", ("--reload-extra-file",), take_list, [],
            is_repeated=True),
    Setting("spew", _W, "Hostler has no trace of every line; use a debugger", ("--spew",), take_switch, False,
            constant=True),
    Setting("check_config", _D, "loads the application in a process of its own", ("--check-config",), take_switch,
            False, constant=True),
    Setting("print_config", _D, "", ("--print-config",), take_switch, False, constant=True),
    # Mechanics
    Setting("preload_app", _M, "in a fork server, so a reload loads new code too", ("--preload",), take_switch, False,
            ("app.preload",), constant=True),
    Setting("sendfile", _S, "files go out by `sendfile` where that is possible", ("--no-sendfile",), take_switch, None,
            constant=False, variable="SENDFILE"),
    Setting("reuse_port", _M, "each worker has sockets of its own", ("--reuse-port",), take_switch, False,
            ("server.reuse_port",), constant=True),
    Setting("chdir", _M, "", ("--chdir",), options=("app.chdir",)),
    Setting("daemon", _R, "Hostler stays in the foreground: let systemd start it (Type=notify; docs/guides/systemd.md)",
            ("-D", "--daemon"), take_switch, False, constant=True),
    Setting("raw_env", _M, "`SCRIPT_NAME` in it also sets `app.script_name`", ("-e", "--env"), take_list, [],
            ("app.env",), rule.map_environment, is_repeated=True),
    Setting("pidfile", _M, "", ("-p", "--pid"), options=("server.pid_file",)),
    Setting("worker_tmp_dir", _S, "workers need no heartbeat file", ("--worker-tmp-dir",)),
    Setting("user", _M, "", ("-u", "--user"), take_account, None, ("server.user",)),
    Setting("group", _M, "", ("-g", "--group"), take_account, None, ("server.group",)),
    Setting("umask", _M, "", ("-m", "--umask"), take_mask, 0, ("server.umask",), rule.map_umask),
    Setting("initgroups", _S, "without `group` a worker has all groups of its user", ("--initgroups",), take_switch,
            False, constant=True),
    Setting("tmp_upload_dir", _M, "", options=("http.body_directory",)),
    Setting("secure_scheme_headers", _W, "of trusted peers `X-Forwarded-Proto` is read, or `Forwarded`: trust.headers",
            kind=take_table,
            default={"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}),
    Setting("forwarded_allow_ips", _M, "`X-Forwarded-For` of those peers also becomes `REMOTE_ADDR`",
            ("--forwarded-allow-ips",), take_networks, ["127.0.0.1", "::1"], ("trust.networks",), rule.map_forwarders,
            variable="FORWARDED_ALLOW_IPS"),
    # Logging
    Setting("accesslog", _M, "", ("--access-logfile",), options=("log.access",), rule=rule.map_access_log),
    Setting("disable_redirect_access_to_syslog", _D, "", ("--disable-redirect-access-to-syslog",), take_switch, False,
            constant=True),
    Setting("access_log_format", _M, "the atoms are the same; times are UTC", ("--access-logformat",),
            default=rule.COMBINED, options=("log.access_format",), rule=rule.map_access_format),
    Setting("errorlog", _M, "", ("--error-logfile", "--log-file"), default="-", options=("log.file",),
            rule=rule.map_error_log),
    Setting("loglevel", _M, "", ("--log-level",), default="info", options=("log.level",), rule=rule.map_level),
    Setting("capture_output", _W, "what the application prints stays on standard output; redirect that",
            ("--capture-output",), take_switch, False, constant=True),
    Setting("logger_class", _W, "Hostler writes its logs itself: log.access_format = \"json\" for JSON; logconfig for "
            "the application's", ("--logger-class",), take_class, "gunicorn.glogging.Logger"),
    Setting("logconfig", _D, _LOGGING, ("--log-config",)),
    Setting("logconfig_dict", _D, _LOGGING, kind=take_table, default={}),
    Setting("logconfig_json", _D, _LOGGING, ("--log-config-json",)),
    Setting("syslog_addr", _D, "where `syslog` goes", ("--log-syslog-to",), default="udp://localhost:514"),
    Setting("syslog", _M, "for the access log", ("--log-syslog",), take_switch, False, ("log.access",), rule.map_syslog,
            constant=True),
    Setting("syslog_prefix", _D, "part of the tag", ("--log-syslog-prefix",)),
    Setting("syslog_facility", _D, "", ("--log-syslog-facility",), default="user"),
    Setting("enable_stdio_inheritance", _S, "workers always inherit standard output and error",
            ("-R", "--enable-stdio-inheritance"), take_switch, False, constant=True),
    Setting("statsd_host", _M, "the metrics have names of their own", ("--statsd-host",), options=("metrics.statsd",),
            rule=rule.map_statsd),
    Setting("dogstatsd_tags", _M, "used if `statsd_host` is set", ("--dogstatsd-tags",), default="",
            options=("metrics.statsd_tags", "metrics.statsd_format"), rule=rule.leave),
    Setting("statsd_prefix", _M, "used if `statsd_host` is set; without it names begin with `hostler`",
            ("--statsd-prefix",), default="", options=("metrics.statsd_prefix",), rule=rule.leave),
    Setting("enable_backlog_metric", _S, "the backlog is always among the metrics", ("--enable-backlog-metric",),
            take_switch, False, constant=True),
    # Names and paths
    Setting("proc_name", _M, "", ("-n", "--name"), options=("server.name",)),
    Setting("default_proc_name", _S, "the application's target is the default", default="gunicorn"),
    Setting("pythonpath", _M, "", ("--pythonpath",), options=("app.python_path",), rule=rule.map_python_path),
    Setting("paste", _R, "Hostler reads no PasteDeploy files: name a module that calls paste.deploy.loadapp",
            ("--paste", "--paster")),
    # Hooks
    Setting("on_starting", _H, "in the supervisor, before sockets are opened", kind=take_function),
    Setting("on_reload", _H, "in the supervisor; the hook of the file that was just read", kind=take_function),
    Setting("when_ready", _H, "in the supervisor, when all workers are ready (Gunicorn: before the first is forked)",
            kind=take_function),
    Setting("pre_fork", _H, "in the process that forks: the supervisor, or with `preload_app` the fork server",
            kind=take_function),
    Setting("post_fork", _H, "in the worker, with its rights, environment and directory (Gunicorn: before)",
            kind=take_function),
    Setting("post_worker_init", _H, "in the worker, when the application is loaded", kind=take_function),
    Setting("worker_int", _H, "in the worker, at SIGINT or SIGQUIT", kind=take_function),
    Setting("worker_abort", _W, "not called: the stacks of a worker that is replaced for its silence are in the log",
            kind=take_function),
    Setting("pre_exec", _H, "in the process that becomes the new supervisor, at SIGUSR2", kind=take_function),
    Setting("pre_request", _H, "in the worker; not called for what Hostler answers itself", kind=take_function),
    Setting("post_request", _H, "in the worker, when the application is done with its response", kind=take_function),
    Setting("child_exit", _H, "in the supervisor", kind=take_function),
    Setting("worker_exit", _H, "in the worker; not when it was killed", kind=take_function),
    Setting("nworkers_changed", _H, "in the supervisor", kind=take_function),
    Setting("on_exit", _H, "in the supervisor, when all workers are gone", kind=take_function),
    Setting("ssl_context", _W, "certificates are `tls.certificate`, and the section `[tls]` has the rest",
            kind=take_function),
    # Protocols and TLS
    Setting("proxy_protocol", _M, "as `?proxy_protocol=on` behind each address; both versions are taken",
            ("--proxy-protocol",), take_proxy_protocol, "off", ("server.bind",), rule.leave, constant="auto",
            is_optional=True),
    Setting("proxy_allow_ips", _W, "the PROXY header is believed of the peers in trust.networks",
            ("--proxy-allow-from",), take_networks, ["127.0.0.1", "::1"]),
    Setting("protocol", _M, "as `?protocol=uwsgi` behind each address", ("--protocol",), one_of("http", "uwsgi"),
            "http", ("server.bind",), rule.leave),
    Setting("uwsgi_allow_ips", _W, "whoever reaches the address may speak the protocol: bind to one that others do not",
            ("--uwsgi-allow-from",), take_networks,
            ["127.0.0.1", "::1"]),
    Setting("keyfile", _M, "", ("--keyfile",), options=("tls.key",), rule=rule.map_key),
    Setting("certfile", _M, "all addresses speak TLS with it", ("--certfile",), options=("tls.certificate",),
            rule=rule.map_certificate),
    Setting("ssl_version", _S, "Gunicorn ignores it too", ("--ssl-version",), take_anything, 2),
    Setting("cert_reqs", _M, "", ("--cert-reqs",), take_integer, 0, ("tls.client_auth",), rule.map_client_auth),
    Setting("ca_certs", _M, "used if `cert_reqs` is set", ("--ca-certs",), options=("tls.client_ca",), rule=rule.leave),
    Setting("suppress_ragged_eofs", _S, "belongs to TLS", ("--suppress-ragged-eofs",), take_switch, True,
            constant=True),
    Setting("do_handshake_on_connect", _S, "belongs to TLS", ("--do-handshake-on-connect",), take_switch, False,
            constant=True),
    Setting("ciphers", _W, "only ciphers that are beyond doubt are spoken", ("--ciphers",)),
    # HTTP/2
    Setting("http_protocols", _S, "both are spoken, as each client begins; `http2.enabled` switches HTTP/2 off",
            ("--http-protocols",), take_protocols, ["h1"]),
    Setting("http2_cleartext", _S, "prior knowledge is understood, and the upgrade is not", ("--http2-cleartext",),
            take_cleartext, "off"),
    Setting("http2_max_concurrent_streams", _M, "", ("--http2-max-concurrent-streams",), take_integer, 100,
            ("http2.max_streams",)),
    Setting("http2_initial_window_size", _S, "see `http2.stream_window`", ("--http2-initial-window-size",),
            take_integer, 65535),
    Setting("http2_max_frame_size", _S, "frames of 16 KiB are taken", ("--http2-max-frame-size",), take_integer, 16384),
    Setting("http2_max_header_list_size", _S, "`limits.head_size` holds", ("--http2-max-header-list-size",),
            take_integer, 65536),
    # What requests may look like
    Setting("raw_paste_global_conf", _S, "belongs to `paste`", ("--paste-global",), take_list, [], is_repeated=True),
    Setting("permit_obsolete_folding", _W, _STRICT, ("--permit-obsolete-folding",), take_switch, False, constant=True),
    Setting("strip_header_spaces", _W, _STRICT, ("--strip-header-spaces",), take_switch, False, constant=True),
    Setting("permit_unconventional_http_method", _W, "Hostler takes every method that is a token, and no other",
            ("--permit-unconventional-http-method",), take_switch, False, constant=True),
    Setting("permit_unconventional_http_version", _W, _STRICT, ("--permit-unconventional-http-version",), take_switch,
            False, constant=True),
    Setting("casefold_http_method", _W, "methods are case-sensitive (RFC 9110 9.1) and are passed on as they came",
            ("--casefold-http-method",), take_switch, False, constant=True),
    Setting("forwarder_headers", _W, "headers with an underscore are treated alike, whoever sends them: "
            "http.underscore_headers", ("--forwarder-headers",), take_words, ["SCRIPT_NAME", "PATH_INFO"]),
    Setting("header_map", _M, "`dangerous` is `allow`", ("--header-map",), one_of("drop", "refuse", "dangerous"),
            "drop", ("http.underscore_headers",), rule.map_header_map),
    # ASGI
    Setting("asgi_loop", _M, "", ("--asgi-loop",), one_of("auto", "asyncio", "uvloop"), "auto", ("workers.loop",)),
    Setting("asgi_lifespan", _M, "", ("--asgi-lifespan",), one_of("auto", "on", "off"), "auto", ("app.lifespan",)),
    Setting("asgi_disconnect_grace_period", _S, "an application is told of a client's end, and not cancelled unless "
            "`http.cancel_on_disconnect` is on", ("--asgi-disconnect-grace-period",), take_integer, 3),
    Setting("websocket_max_message_size", _M, "", ("--websocket-max-message-size",), take_integer, 16777216,
            ("websocket.max_message",), rule.map_message_size),
    Setting("http_parser", _S, "Hostler has one parser", ("--http-parser",), one_of("auto", "fast", "python"), "auto"),
    Setting("root_path", _M, "", ("--root-path",), default="", options=("app.script_name",), rule=rule.map_root_path),
    # Dirty workers
    Setting("dirty_apps", _W, _DIRTY, ("--dirty-app",), take_list, [], is_repeated=True),
    Setting("dirty_workers", _S, _DIRTY, ("--dirty-workers",), take_integer, 0),
    Setting("dirty_timeout", _S, _DIRTY, ("--dirty-timeout",), take_integer, 300),
    Setting("dirty_threads", _S, _DIRTY, ("--dirty-threads",), take_integer, 1),
    Setting("dirty_graceful_timeout", _S, _DIRTY, ("--dirty-graceful-timeout",), take_integer, 30),
    Setting("on_dirty_starting", _S, _DIRTY, kind=take_function),
    Setting("dirty_post_fork", _S, _DIRTY, kind=take_function),
    Setting("dirty_worker_init", _S, _DIRTY, kind=take_function),
    Setting("dirty_worker_exit", _S, _DIRTY, kind=take_function),
    # Control
    Setting("control_socket", _S, "Hostler is told what to do by signals", ("--control-socket",)),
    Setting("control_socket_mode", _S, "belongs to `control_socket`", ("--control-socket-mode",), take_mask, 0o600),
    Setting("control_socket_disable", _S, "belongs to `control_socket`", ("--no-control-socket",), take_switch, False,
            constant=True),
)  # fmt: skip


@functools.cache
def index_settings() -> Mapping[str, Setting]:
    """Map each setting's name to the setting."""
    return MappingProxyType({setting.name: setting for setting in SETTINGS})
