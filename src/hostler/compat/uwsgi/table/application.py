"""The application, and the Python that it runs in."""

from __future__ import annotations

from hostler.compat.uwsgi import rule_application as rule
from hostler.compat.uwsgi.option import Fate, Option, declare

_M, _S, _W, _R, _L, _D = Fate.MAPPED, Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.LATER, Fate.DOOR
_GREEN = "requests run in up to 64 threads per worker; nothing is monkey-patched"
_DIALECT = "Hostler calls WSGI and ASGI"

OPTIONS: tuple[Option, ...] = (
    declare("module= wsgi= -w", _M, "a module alone stands for its `application`, or `callable`", "app.target",
            rule.map_module),
    declare("wsgi-file= file=", _M, "", "app.target", rule.map_file),
    declare("callable=", _M, "", "app.target", rule.leave),
    declare("mount= worker-mount=", _M, "the longest prefix wins; `/` is the application itself",
            ("app.mounts", "app.target"), rule.map_mount),
    declare("manage-script-name", _S, "mounts are found by path, `SCRIPT_NAME` and `PATH_INFO` set"),
    declare("ignore-script-name", _W, "`SCRIPT_NAME` is set as WSGI asks"),
    declare("no-default-app", _S, "what no mount answers goes to the application, or is 404"),
    declare("vhost vhost-host", _R, "one application by host name is not chosen yet; run one server for each"),
    declare("max-apps=", _S, "there is no limit"),
    declare("need-app?", _S, "an application that does not load ends the start, with status 22"),
    declare("eval= pypy-eval= pypy-eval-post-fork=", _R, "put the code in a module, and name that"),
    declare("ini-paste= ini-paste-logged= paste= paste-logger", _R,
            "Hostler reads no PasteDeploy files: name a module that calls paste.deploy.loadapp"),
    declare("pecan= web3= pump= wsgi-lite=", _R, _DIALECT),
    declare("test= -J", _R, "use `hostler check APP`"),
    declare("python= py= pyrun=", _R, "run the script with python"),
    declare("pyshell? pyshell-oneshot?", _R, "run python; with the application imported it has the same"),
    declare("pyargv=", _W, "sys.argv is left alone"),
    # Surroundings
    declare("chdir=", _M, "", "app.chdir", rule.map_directory),
    declare("chdir2=", _M, "before the application is loaded, not after", "app.chdir", rule.map_second_directory),
    declare("force-cwd=", _W, "use chdir"),
    declare("pythonpath= python-path= pp=", _M, "", "app.python_path", rule.map_python_path),
    declare("home= virtualenv= venv= pyhome= -H", _M,
            "its packages, if it is of the same Python version; better install Hostler in it", "app.python_path",
            rule.map_home),
    declare("env=", _M, "", "app.env", rule.map_variable),
    declare("envdir= early-envdir=", _M, "", "app.env", rule.map_variable_directory),
    declare("unenv=", _M, "to an empty value", "app.env", rule.map_unset),
    declare("reload-os-env", _S, "the environment is the process's own"),
    declare("import= pyimport= py-import= python-import=", _D, "in each worker, when the application is loaded"),
    declare("shared-import= shared-pyimport= shared-py-import= shared-python-import=", _D,
            "in the process that loads the application, before it does"),
    declare("spooler-import= spooler-py-import= spooler-pyimport= spooler-python-import=", _L,
            "the spooler comes later; use a task queue"),
    declare("pymodule-alias= post-pymodule-alias=", _R, "set sys.modules in a module of your own"),
    declare("optimize= -O", _W, "set PYTHONOPTIMIZE instead"),
    declare("no-site", _W, "site is always imported"),
    declare("py-programname= py-program-name= py-executable= py-sys-executable=", _S,
            "sys.executable is right already"),
    declare("single-interpreter -i", _S, "each worker has one interpreter"),
    declare("enable-threads -T", _S, "threads of the application always run"),
    declare("py-call-osafterfork py-call-uwsgi-fork-hooks", _S,
            "what is registered with os.register_at_fork is always called"),
    declare("wsgi-env-behaviour= wsgi-env-behavior=", _S, "each request has an environ of its own"),
    declare("start_response-nodelay wsgi-strict", _S, "WSGI is followed"),
    declare("wsgi-accept-buffer wsgi-accept-buffers", _S, "bytes and what has their interface is taken"),
    declare("wsgi-disable-file-wrapper", _W, "wsgi.file_wrapper is there, and sends by sendfile"),
    declare("catch-exceptions", _W, "use `hostler dev` to see errors in the browser"),
    declare("reload-on-exception reload-on-exception-type= reload-on-exception-value= reload-on-exception-repr= "
            "exception-handler=", _W, "an exception is logged, and the worker goes on"),
    declare("py-autoreload= py-auto-reload= python-auto-reload= python-autoreload=", _D,
            "a watcher reloads when a file changes; see also `hostler dev`"),
    declare("py-auto-reload-ignore=", _W, "files are ignored by `dev.ignore`, with `hostler dev`"),
    declare("py-tracebacker=", _W, "use `hostler stacks`, which needs no socket of its own"),
    declare("py-sharedarea= python-worker-override=", _R, "there is no equal"),
    # Other ways to wait
    declare("async=", _M, _GREEN, "workers.threads", rule.map_green),
    declare("gevent= asyncio= tornado=", _M, _GREEN, "workers.threads", rule.map_green),
    declare("gevent-monkey-patch gevent-early-monkey-patch", _W, "nothing is monkey-patched: requests run in threads"),
    declare("gevent-wait-for-hub greenlet stackless fiber coroae= ugreen ugreen-stacksize=", _S,
            "requests run in threads"),
    declare("loop=", _W, "the event loop of ASGI applications is workers.loop"),
)  # fmt: skip
