"""Sockets and what is spoken there."""

from __future__ import annotations

from hostler.compat.uwsgi import rule_socket as rule
from hostler.compat.uwsgi import rule_tls as tls
from hostler.compat.uwsgi.option import Fate, Option, declare

_M, _S, _W, _R, _L = Fate.MAPPED, Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.LATER
_BIND = "server.bind"
_MODIFIER = "requests are for the application, whatever their modifier"

OPTIONS: tuple[Option, ...] = (
    declare("socket= uwsgi-socket= -s", _M, "speaks uwsgi, or what `protocol` says", _BIND, rule.map_socket),
    declare("http-socket= http11-socket=", _M, "HTTP/1.1 with keep-alive", _BIND, rule.map_http_socket),
    declare("http= httprouter=", _M, "workers take HTTP themselves: there is no router process", _BIND,
            rule.map_http_socket),
    declare("fastcgi-socket= fastcgi-nph-socket=", _M, "", _BIND, rule.map_fastcgi_socket),
    declare("scgi-socket= scgi-nph-socket=", _M, "", _BIND, rule.map_scgi_socket),
    declare("https= https2= https-socket=", _M, "as `https://`; ciphers are Hostler's own",
            ("server.bind", "tls.certificate", "tls.key"), tls.map_https),
    declare("suwsgi-socket= ssl-socket=", _R, "uwsgi is not spoken over TLS; use a unix socket or a private network"),
    declare("http-to-https=", _W, "nothing listens there; add the address to server.bind and set tls.https_only"),
    declare("raw-socket= raw-modifier1= raw-modifier2= python-raw=", _R,
            "connections without a protocol are not handed over"),
    declare("puwsgi-socket=", _R, "persistent uwsgi connections can be made to smuggle requests"),
    declare("zeromq= zmq= zeromq-socket= zmq-socket= mongrel2=", _R, "Mongrel2 is not spoken"),
    declare("udp= multicast= multicast-ttl= multicast-loop=", _R, "requests by datagram are not taken"),
    declare("protocol= socket-protocol=", _M, "of `socket`: uwsgi, http, fastcgi, scgi", _BIND, rule.leave),
    declare("shared-socket= undeferred-shared-socket=", _M, "bound where `=0` names it", _BIND, rule.map_shared_socket),
    declare("map-socket=", _W, "each worker serves all sockets"),
    declare("abstract-socket -a", _M, "unix sockets by name, without a file", _BIND, rule.leave),
    declare("chmod-socket? chmod? -C", _M, "as `?mode=`", _BIND, rule.leave),
    declare("chown-socket=", _M, "as `?user=` and `?group=`", _BIND, rule.leave),
    declare("enable-proxy-protocol http-enable-proxy-protocol?", _M, "as `?proxy_protocol=on`, versions 1 and 2", _BIND,
            rule.leave),
    declare("listen= -l", _M, "uWSGI's default of 100 is not kept", "server.backlog", rule.map_backlog),
    declare("reuse-port", _M, "each worker has sockets of its own", "server.reuse_port", rule.map_reuse_port),
    declare("socket-timeout= -z", _M, "", ("http.body_timeout", "http.write_timeout"), rule.map_socket_timeout),
    declare("http-timeout=", _S, "an application that is slow is not cut off; clients have `http.*_timeout`"),
    declare("http-headers-timeout=", _M, "", "http.head_timeout", rule.map_head_timeout),
    declare("http-keepalive?", _M, "keep-alive is always on; a number above 1 is its time", "http.keep_alive_timeout",
            rule.map_keep_alive),
    declare("so-keepalive tcp-nodelay no-defer-accept freebind", _S, "sockets are set up as they should be"),
    declare("so-send-timeout socket-send-timeout so-write-timeout socket-write-timeout", _S,
            "`http.write_timeout` bounds how long a client takes nothing"),
    declare("socket-sndbuf= socket-rcvbuf=", _W, "the kernel finds the size of socket buffers"),
    declare("tcp-fast-open= tcp-fastopen= tcp-fast-open-client tcp-fastopen-client", _W, "TCP Fast Open is not used"),
    declare("thunder-lock", _S, "the kernel wakes one worker per connection"),
    declare("close-on-exec close-on-exec2", _S, "descriptors are not passed on to programs"),
    declare("no-fd-passing shutdown-sockets", _S),
    declare("safe-fd= fd-safe=", _W, "a worker keeps no descriptor but its own sockets"),
    # Requests
    declare("buffer-size= -b", _M, "heads up to 64 KiB are always taken; above 16 KiB it is the longest header",
            ("limits.header_size", "limits.request_line", "limits.head_size"), rule.map_buffer_size),
    declare("http-buffer-size=", _S, "belongs to the router process"),
    declare("max-vars= -v", _M, "", "limits.header_count", rule.map_variables),
    declare("limit-post=", _M, "beyond it 413", "limits.body_size", rule.map_body_size),
    declare("post-buffering=", _M, "bodies are always complete before a WSGI application is called",
            "limits.body_memory", rule.map_body_memory),
    declare("post-buffering-bufsize= body-read-warning=", _S, "bodies are read by the engine"),
    declare("upload-progress=", _W, "the progress of uploads is not written to files"),
    declare("chunked-input-limit= chunked-input-timeout= http-chunked-input http-auto-chunked http-raw-body", _S,
            "chunked bodies are decoded, both ways"),
    declare("http-websockets", _S, "WebSockets are part of ASGI; the calls of uWSGI's module are not there"),
    declare("websockets-ping-freq= websocket-ping-freq=", _M, "", "websocket.ping_interval", rule.map_ping),
    declare("websockets-pong-tolerance= websocket-pong-tolerance=", _M, "", "websocket.ping_timeout", rule.map_pong),
    declare("websockets-max-size= websocket-max-size=", _M, "in KiB, as with uWSGI", "websocket.max_message",
            rule.map_message),
    declare("http-manage-expect?", _S, "100-continue is answered"),
    declare("http-server-name-as-http-host=", _S),
    declare("http-auto-gzip", _L, "compression comes later; let nginx do it"),
    declare("http-manage-source http-manage-rtsp", _R, "HTTP is what is spoken"),
    declare("http-var=", _W, "variables are not added to requests; give them to the application by env"),
    declare("http-processes= http-workers= http-events= http-quiet= http-cheap http-harakiri= http-uid= http-gid= "
            "http-connect-timeout= http-gracetime=", _S, "there is no router process"),
    declare("http-stats= http-stats-server= http-ss=", _W, "there is no router process to ask; see `stats`"),
    declare("http-modifier1= http-modifier2= http-socket-modifier1= http-socket-modifier2= https-socket-modifier1= "
            "https-socket-modifier2= fastcgi-modifier1= fastcgi-modifier2= scgi-modifier1= scgi-modifier2= "
            "remap-modifier=", _W, _MODIFIER),
    declare("cgi-mode -c", _W, _MODIFIER),
    declare("allowed-modifiers=", _S, "no modifier loads code or runs anything but the application"),
    declare("response-headers-limit=", _S, "an answer's head has a bound of its own"),
    # Writing
    declare("ignore-sigpipe ignore-write-errors disable-write-exception write-errors-exception-only "
            "write-errors-tolerance=", _S, "a client that has gone makes no noise"),
)  # fmt: skip
