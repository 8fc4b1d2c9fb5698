"""What is answered without the application, and what is changed on the way: files, routing, caches, TLS, routers."""

from __future__ import annotations

from hostler.compat.uwsgi import rule_tls as rule
from hostler.compat.uwsgi.option import Fate, Option, declare

_M, _S, _W, _R, _L = Fate.MAPPED, Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.LATER
_FILES = "static files come later; let nginx serve them, or WhiteNoise"
_ROUTES = (
    "internal routing comes later, and may guard something: do it in nginx or in the application, and take this out"
)
_HEADERS = "headers are not changed yet; do it in nginx or in the application"
_ROUTER = "routers come later; let nginx do it"
_CACHE = "the cache comes later; use Redis or memcached"

OPTIONS: tuple[Option, ...] = (
    # Files
    declare("static-map= static-map2= check-static= check-static-docroot static-check=", _L, _FILES),
    declare("static-skip-ext= static-index= static-safe= static-cache-paths= static-cache-paths-name= mimefile= "
            "mime-file= static-expires-type= static-expires-type-mtime= static-expires= static-expires-mtime= "
            "static-expires-uri= static-expires-uri-mtime= static-expires-path-info= static-expires-path-info-mtime= "
            "static-gzip= static-gzip-all static-gzip-dir= static-gzip-prefix= static-gzip-ext= static-gzip-suffix=",
            _S, "belongs to static files, which come later"),
    declare("honour-range", _S, "belongs to static files, which come later"),
    declare("offload-threads= offload-thread=", _S, "files and slow clients hold no worker"),
    declare("file-serve-mode= fileserve-mode=", _S, "belongs to static files, which come later"),
    declare("disable-sendfile", _S, "files of the application go out by sendfile where that is possible"),
    declare("error-page-403= error-page-404= error-page-500=", _W,
            "errors have a page of the server's own, or the application's"),
    # Routing
    declare("route= route-host= route-uri= route-qs= route-remote-addr= route-user-agent= route-remote-user= "
            "route-referer= route-label= route-if= route-if-not= route-run=", _R, _ROUTES),
    declare("final-route= final-route-status= final-route-host= final-route-uri= final-route-qs= "
            "final-route-remote-addr= final-route-user-agent= final-route-remote-user= final-route-referer= "
            "final-route-label= final-route-if= final-route-if-not= final-route-run=", _R, _ROUTES),
    declare("error-route= error-route-status= error-route-host= error-route-uri= error-route-qs= "
            "error-route-remote-addr= error-route-user-agent= error-route-remote-user= error-route-referer= "
            "error-route-label= error-route-if= error-route-if-not= error-route-run=", _R, _ROUTES),
    declare("response-route= response-route-status= response-route-host= response-route-uri= response-route-qs= "
            "response-route-remote-addr= response-route-user-agent= response-route-remote-user= "
            "response-route-referer= response-route-label= response-route-if= response-route-if-not= "
            "response-route-run=", _R, _ROUTES),
    declare("add-header= rem-header= del-header=", _L, _HEADERS),
    declare("collect-header= response-header-collect= pull-header=", _W, "response headers are not given to routes"),
    declare("after-request-hook= after-request-call=", _R, "no functions of a binary are called"),
    declare("pcre-jit", _S),
    declare("geoip-country= geoip-city= geoip-use-disk", _R, "the application does that better, with geoip2"),
    declare("pam= pam-user=", _R, "the server authenticates nobody"),
    # Caches
    declare("check-cache?", _L, _CACHE),
    declare("cache2= cache= add-cache-item= load-file-in-cache= load-file-in-cache-gzip=", _L, _CACHE),
    declare("cache-blocksize= cache-store= cache-store-sync= cache-no-expire cache-expire-freq= "
            "cache-report-freed-items cache-udp-server= cache-udp-node= cache-sync= cache-use-last-modified", _S,
            "belongs to the cache, which comes later"),
    # TLS
    declare("ssl-sessions-use-cache? ssl-session-use-cache? ssl-sessions-timeout= ssl-session-timeout= "
            "ssl-verify-depth? ssl-option ssl-tmp-dir= https-session-context=", _S,
            "belongs to TLS, which has its own good defaults"),
    declare("ssl-enable3 ssl-enable-sslv3 ssl-enable-tlsv1", _W, "TLS below 1.2 is not spoken, as it is not safe"),
    declare("sni=", _M, "the names are those in the certificate", ("tls.certificate", "tls.key"), rule.map_names),
    declare("sni-dir=", _M, "files that come later are found at a reload", ("tls.certificate", "tls.key"),
            rule.map_name_directory),
    declare("sni-dir-ciphers= sni-regexp=", _W, "the names are those in the certificate, the ciphers Hostler's own"),
    declare("https-export-cert", _S, "what is known of a client's certificate is always given to the application"),
    declare("http-stud-prefix=", _W, "a proxy for TLS tells of clients by the PROXY protocol"),
    # Routers
    declare("http-to= http-use-cache? http-use-pattern= http-use-base= http-use-code-string= http-use-socket? "
            "http-fallback= http-zerg=", _L, "workers take HTTP themselves; a proxy to other servers comes later"),
    declare("http-subscription-server= http-subscription-fallback-key= http-resubscribe=", _L, _ROUTER),
    declare("fastrouter= fastrouter-processes= fastrouter-workers= fastrouter-zerg= fastrouter-use-cache? "
            "fastrouter-use-pattern= fastrouter-use-base= fastrouter-fallback= fastrouter-use-code-string= "
            "fastrouter-use-socket? fastrouter-to= fastrouter-gracetime= fastrouter-events= fastrouter-quiet= "
            "fastrouter-cheap fastrouter-subscription-server= fastrouter-subscription-slot= fastrouter-timeout= "
            "fastrouter-post-buffering= fastrouter-post-buffering-dir= fastrouter-stats= fastrouter-stats-server= "
            "fastrouter-ss= fastrouter-harakiri= fastrouter-uid= fastrouter-gid= fastrouter-resubscribe= "
            "fastrouter-resubscribe-bind= fastrouter-buffer-size= fastrouter-fallback-on-no-key "
            "fastrouter-subscription-fallback-key=", _L, _ROUTER),
    declare("rawrouter= rawrouter-processes= rawrouter-workers= rawrouter-zerg= rawrouter-use-cache? "
            "rawrouter-use-pattern= rawrouter-use-base= rawrouter-fallback= rawrouter-use-code-string= "
            "rawrouter-use-socket? rawrouter-to= rawrouter-gracetime= rawrouter-events= rawrouter-max-retries= "
            "rawrouter-quiet= rawrouter-cheap rawrouter-subscription-server= rawrouter-subscription-slot= "
            "rawrouter-timeout= rawrouter-stats= rawrouter-stats-server= rawrouter-ss= rawrouter-harakiri= "
            "rawrouter-xclient rawrouter-buffer-size=", _L, _ROUTER),
    declare("sslrouter= sslrouter2= sslrouter-session-context= sslrouter-processes= sslrouter-workers= sslrouter-zerg= "
            "sslrouter-use-cache? sslrouter-use-pattern= sslrouter-use-base= sslrouter-fallback= "
            "sslrouter-use-code-string= sslrouter-use-socket? sslrouter-to= sslrouter-gracetime= sslrouter-events= "
            "sslrouter-max-retries= sslrouter-quiet= sslrouter-cheap sslrouter-subscription-server= sslrouter-timeout= "
            "sslrouter-stats= sslrouter-stats-server= sslrouter-ss= sslrouter-harakiri= sslrouter-sni "
            "sslrouter-buffer-size=", _L, _ROUTER),
    declare("force-gateway", _L, _ROUTER),
    declare("subscribe-to= st= subscribe= subscribe2= subscribe-with-modifier1=", _L,
            "subscription comes later; name the server in nginx"),
    declare("subscribe-freq= subscription-tolerance= unsubscribe-on-graceful-reload start-unsubscribed weight= "
            "auto-weight= subscription-notify-socket= subscriptions-sign-check= subscriptions-sign-check-tolerance= "
            "subscriptions-sign-skip-uid= subscriptions-credentials-check= subscriptions-use-credentials "
            "subscription-algo= subscription-dotsplit", _S, "belongs to subscription, which comes later"),
    declare("forkptyrouter= forkpty-router= forkptyurouter= forkpty-urouter= forkptyrouter-command= "
            "forkpty-router-command= forkptyrouter-cmd= forkpty-router-cmd= forkptyrouter-rows= forkptyrouter-cols= "
            "forkptyrouter-processes= forkptyrouter-workers= forkptyrouter-zerg= forkptyrouter-fallback= "
            "forkptyrouter-events= forkptyrouter-cheap forkptyrouter-timeout= forkptyrouter-stats= "
            "forkptyrouter-stats-server= forkptyrouter-ss= forkptyrouter-harakiri= pty-socket= pty-log pty-input "
            "pty-connect= pty-uconnect= pty-no-isig pty-exec=", _R, "no terminal is served; use ssh"),
    declare("tuntap-router= tuntap-device= tuntap-use-credentials? tuntap-router-firewall-in= "
            "tuntap-router-firewall-out= tuntap-router-route= tuntap-router-stats= tuntap-device-rule=", _R,
            "networks are the system's to make"),
    declare("webdav-mount= webdav-css= webdav-javascript= webdav-js= webdav-class-directory= webdav-div= "
            "webdav-lock-cache= webdav-principal-base= webdav-add-option= webdav-add-prop= webdav-add-collection-prop= "
            "webdav-add-object-prop= webdav-add-prop-href= webdav-add-collection-prop-href= "
            "webdav-add-object-prop-href= webdav-add-prop-comp= webdav-add-collection-prop-comp= "
            "webdav-add-object-prop-comp= webdav-add-rtype-prop= webdav-add-rtype-collection-prop= "
            "webdav-add-rtype-object-prop= webdav-skip-prop=", _R, "WebDAV is not served; use nginx or wsgidav"),
    declare("xslt-docroot= xslt-ext= xslt-var= xslt-stylesheet= xslt-content-type=", _R, "XSLT is not run"),
    declare("gridfs-mount= gridfs-debug glusterfs-mount= glusterfs-timeout= rados-mount= rados-timeout=", _R,
            "files are served from directories; mount the storage"),
)  # fmt: skip
