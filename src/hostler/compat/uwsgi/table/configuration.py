"""Files, placeholders, logic, and commands that are no server."""

from __future__ import annotations

from hostler.compat.uwsgi.option import Fate, Option, declare

_S, _W, _R, _D, _L = Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.DOOR, Fate.LATER

OPTIONS: tuple[Option, ...] = (
    # Files
    declare("ini=", _D, "with a section: `app.ini:staging`"),
    declare("xmlconfig= xml= -x", _D, "without document type and entities"),
    declare("yaml= yml= -y", _D, "one block of options and lists"),
    declare("json= js= -j", _D),
    declare("include=", _D),
    declare("inherit=", _D, "as with uWSGI, nothing is replaced in what it holds"),
    declare("config=", _R, "name the format: --ini, --xml, --yaml or --json"),
    declare("inject-before= inject-after=", _R, "include the file instead"),
    declare("fallback-config=", _W,
            "a configuration that cannot be served ends the start, or changes nothing at a reload"),
    declare("ldap= ldap-schema ldap-schema-ldif sqlite3= sqlite=", _R, "configurations are read from files"),
    declare("mode=", _W, "the attribute `mode` of XML elements is not looked at"),
    # Placeholders and logic
    declare("set= -S", _D),
    declare("set-placeholder= set-ph=", _D),
    declare("declare-option= declare-option2=", _D),
    declare("resolve=", _R, "name the address itself, or give it by a variable: $(NAME)"),
    declare("for= for-glob= for-times= for-readline=", _D),
    declare("endfor? end-for? endif? end-if?", _D),
    declare("if-opt= if-not-opt= if-env= if-not-env= ifenv=", _D),
    declare("if-exists= if-not-exists= ifexists= if-file= if-not-file= if-dir= if-not-dir= ifdir= if-directory=", _D),
    declare("if-reload if-not-reload", _D),
    declare("if-hostname= if-not-hostname= if-hostname-match= if-not-hostname-match=", _D),
    declare("if-plugin= if-not-plugin= ifplugin=", _D, "finds `python` and `http`, and no other plugin"),
    declare("blacklist= end-blacklist whitelist= end-whitelist", _D),
    declare("strict", _D, "an unknown option is an error; without it one that is nearly right is told"),
    declare("skip-zero", _S, "what uWSGI logs of sections is not logged"),
    # Commands
    declare("help usage -h", _D),
    declare("version", _D),
    declare("show-config", _D),
    declare("dump-options", _D),
    declare("get=", _D),
    declare("print= iprint=", _D),
    declare("exit?", _D),
    declare("stop=", _D, "sends SIGINT to the process in a pid file, and ends"),
    declare("reload=", _D, "sends SIGHUP"),
    declare("pause= suspend= resume=", _D, "sends SIGTSTP, at which requests wait until the next one"),
    declare("connect-and-read= extract= print-sym= print-symbol= binary-append-data=", _R,
            "a tool for uWSGI's own binary"),
    declare("cflags dot-h config-py build-plugin=", _R, "Hostler is not compiled with plugins"),
    declare("cheaper-algo-list cheaper-algos-list cheaper-list clock-list clocks-list loop-list loops-list "
            "logger-list loggers-list alarm-list alarms-list router-list routers-list plugins-list plugin-list "
            "imperial-monitor-list imperial-monitors-list python-version perl-version", _W,
            "uWSGI lists its own parts; see `hostler version` and `hostler help options`"),
    declare("no-server command-mode", _R,
            "use --show-config to see the configuration, `hostler check` to load the application"),
    declare("ping= ping-timeout= nagios", _L, "a check by command comes later; ask the application over HTTP"),
    declare("file-write=", _R, "write the file before the server starts"),
    # Plugins: all that Hostler has is in it.
    declare("plugins= plugin= need-plugins= need-plugin=", _S, "Python and HTTP are built in"),
    declare("plugins-dir= plugin-dir= autoload", _S, "there are no plugins"),
    declare("dlopen=", _R, "no library is loaded into the server"),
    declare("binary-path=", _S),
    declare("privileged-binary-patch= unprivileged-binary-patch= privileged-binary-patch-arg= "
            "unprivileged-binary-patch-arg=", _R, "another program is not run in the server's place"),
)  # fmt: skip
