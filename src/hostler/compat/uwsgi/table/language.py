"""Other languages, and parts of uWSGI that few use."""

from __future__ import annotations

from hostler.compat.uwsgi.option import Fate, Option, declare

_R, _L = Fate.REFUSED, Fate.LATER
_LATER = "other languages come later"
_NOT = "this language is not planned"

OPTIONS: tuple[Option, ...] = (
    declare("cgi= cgi-map-helper= cgi-helper= cgi-from-docroot cgi-buffer-size= cgi-timeout= cgi-index= "
            "cgi-allowed-ext= cgi-unset= cgi-loadlib= cgi-optimize cgi-optimized cgi-path-info "
            "cgi-do-not-kill-on-error cgi-async-max-attempts cgi-close-stdin-on-eof cgi-safe=", _L, f"CGI: {_LATER}"),
    declare("php-ini= php-config= php-ini-append= php-config-append= php-set= php-index= php-docroot= "
            "php-allowed-docroot= php-allowed-ext= php-allowed-script= php-server-software= php-app= php-app-qs= "
            "php-fallback= php-fallback2= php-fallback-qs= php-app-bypass= php-var= php-constant= php-dump-config "
            "php-exec-before= php-exec-begin= php-exec-after= php-exec-end= php-sapi-name=", _L, f"PHP: {_LATER}"),
    declare("psgi= psgi-enable-psgix-io perl-no-die-catch perl-local-lib= perl-args= perl-arg= perl-exec= "
            "perl-exec-post-fork= perl-auto-reload= perl-auto-reload-ignore= plshell? plshell-oneshot perl-no-plack",
            _L, f"Perl: {_LATER}"),
    declare("rails= rack= ruby-gc-freq= rb-gc-freq= rb-lib= ruby-lib= rb-require= ruby-require= rbrequire= "
            "rubyrequire= require= shared-rb-require= shared-ruby-require= shared-rbrequire= shared-rubyrequire= "
            "shared-require= gemset= rvm= rvm-path= rbshell? rbshell-oneshot rbthreads rb-threads rbthread rb-thread",
            _L, f"Ruby: {_LATER}"),
    declare("lua= lua-load= lua-shell luashell lua-gc-freq", _R, f"Lua: {_NOT}"),
    declare("pypy-lib= pypy-setup= pypy-home= pypy-wsgi= pypy-wsgi-file= pypy-ini-paste= pypy-paste= pypy-exec= "
            "pypy-exec-post-fork= pypy-pp= pypy-python-path= pypy-pythonpath=", _R, "PyPy is not embedded"),
    declare("jvm-main-class= jvm-opt= jvm-class= jvm-classpath= jwsgi= ring-load= clojure-load= ring-app=", _R,
            f"Java: {_NOT}"),
    declare("mono-app= mono-gc-freq= mono-key= mono-version= mono-config= mono-assembly= mono-exec= mono-index=", _R,
            f"Mono: {_NOT}"),
    declare("v8-load= v8-preemptive= v8-gc-freq= v8-module-path= v8-jsgi=", _R, f"JavaScript: {_NOT}"),
    declare("go-load= gccgo-load= go-args= gccgo-args= goroutines=", _R, f"Go: {_NOT}"),
    declare("dumbloop-modifier1= dumbloop-code= dumbloop-function=", _R, "an example of uWSGI's"),
)  # fmt: skip
