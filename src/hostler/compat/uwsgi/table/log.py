"""Logs."""

from __future__ import annotations

from hostler.compat.uwsgi import rule_log as rule
from hostler.compat.uwsgi.option import Fate, Option, declare

_M, _S, _W, _R, _L, _D = Fate.MAPPED, Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.LATER, Fate.DOOR
_BOTH = ("log.file", "log.access")

OPTIONS: tuple[Option, ...] = (
    declare("logto= logto2=", _M, "both logs", _BOTH, rule.map_log_file),
    declare("logger=", _M, "`file:`, `stdio` and `syslog`; with `req-logger`, the server log alone", _BOTH,
            rule.map_logger),
    declare("req-logger= logger-req=", _M, "`file:`, `stdio`, `syslog` and `rsyslog:`", "log.access",
            rule.map_request_logger),
    declare("log-syslog?", _M, "the access log", "log.access", rule.map_syslog),
    declare("log-socket= log-zeromq=", _W, "logs go to files, standard output or syslog"),
    declare("disable-logging -L", _M, "no access log, or what `log-4xx`, `log-5xx` and `log-slow` choose of it",
            ("log.access", "log.access_statuses", "log.access_slow"), rule.map_disabled),
    declare("log-4xx", _M, "used beside `disable-logging`", "log.access_statuses", rule.leave),
    declare("log-5xx", _M, "used beside `disable-logging`", "log.access_statuses", rule.leave),
    declare("log-slow=", _M, "used beside `disable-logging`", "log.access_slow", rule.leave),
    declare("log-zero log-big= log-sendfile= log-ioerror=", _W,
            "requests are chosen by status, duration, path or chance: log.access_statuses and its neighbours"),
    declare("log-format= logformat=", _M, "what cannot be known stays a dash", "log.access_format", rule.map_format),
    declare("logformat-strftime log-format-strftime", _W, "times have the form of the common log format"),
    declare("log-date? logdate? log-prefix?", _S, "lines of the server log have a date"),
    declare("log-micros", _M, "in the default format", "log.access_format", rule.leave),
    declare("log-x-forwarded-for", _S, "of trusted peers it always is"),
    declare("log-master log-master-bufsize= log-master-stream log-master-req-stream threaded-logger", _S,
            "logging holds nobody up"),
    declare("log-maxsize=", _M, "bytes; files that are put aside are called `.1`, `.2`, ...", "log.rotate_size",
            rule.map_size),
    declare("log-backupname=", _W, "files that are put aside are called `.1`, `.2`, ..."),
    declare("log-reopen", _S, "logs are opened anew at a reload"),
    declare("log-truncate", _W, "logs are appended to"),
    declare("logfile-chown logfile-chmod=", _S, "logs can be written by workers, whatever their user"),
    declare("log-filter= log-drain= log-route= log-req-route=", _W, "paths are left out by log.access_skip"),
    declare("log-encoder= log-req-encoder=", _W, "use log.access_format = \"json\" for JSON"),
    declare("rsyslog-packet-size= rsyslog-split-messages", _S),
    declare("alarm= alarm-cheap= alarm-freq= alarm-fd= alarm-segfault= segfault-alarm= alarm-backlog= backlog-alarm= "
            "lq-alarm= alarm-lq= alarm-listen-queue= listen-queue-alarm= log-alarm= alarm-log= not-log-alarm= "
            "not-alarm-log= alarm-msg-size=", _L, "alarms come later; watch the log"),
    declare("ssl-verbose notfound-log", _S),
)  # fmt: skip
