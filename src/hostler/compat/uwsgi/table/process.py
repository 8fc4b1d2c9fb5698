"""The supervisor and its workers: how many, how long, and how they are told what to do."""

from __future__ import annotations

from hostler.compat.uwsgi import rule_process as rule
from hostler.compat.uwsgi.option import Fate, Option, declare
from hostler.compat.uwsgi.rule_socket import map_stats, map_stats_push

_M, _S, _W, _R, _L, _D = Fate.MAPPED, Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.LATER, Fate.DOOR
_TOUCH = "within a second of the file's change"
_NO_MULES = "mules come later"

OPTIONS: tuple[Option, ...] = (
    declare("processes= workers= -p", _M, "", "workers.count", rule.map_processes),
    declare("threads=", _M, "uWSGI's default of 1 is kept, as the application may not be safe in threads",
            "workers.threads", rule.map_threads),
    declare("master -M", _S, "there always is a supervisor"),
    declare("lazy-apps lazy", _M,
            "without it, and with several workers, the application is loaded once, in a fork server", "app.preload",
            rule.map_lazy),
    declare("no-threads-wait", _S),
    declare("thread-stacksize= threads-stacksize= thread-stack-size= threads-stack-size=", _W,
            "threads have the system's stack"),
    declare("max-requests= -R", _M, "", "workers.max_requests", rule.map_max_requests),
    declare("max-requests-delta=", _M, "as jitter, up to as much as uWSGI gives the last worker",
            "workers.max_requests_jitter", rule.map_jitter),
    declare("max-worker-lifetime=", _M, "", "workers.max_age", rule.map_age),
    declare("max-worker-lifetime-delta=", _S, "the age of each worker has a jitter of its own"),
    declare("min-worker-lifetime= forkbomb-delay=", _S, "a worker that dies early is started again with back-off"),
    declare("reload-on-rss= evil-reload-on-rss=", _M, "never in the middle of a request", "workers.max_memory",
            rule.map_memory),
    declare("reload-on-as= evil-reload-on-as=", _W, "addresses are not memory; use reload-on-rss"),
    declare("memory-report -m", _S, "memory is read from the system"),
    declare("mem-collector-freq=", _S),
    # Scaling
    declare("cheaper=", _M, "the fewest workers; `processes` is the most",
            ("scaling.min", "scaling.max", "workers.count"), rule.map_cheaper),
    declare("cheaper-initial=", _M, "", "workers.count", rule.leave),
    declare("cheaper-rss-limit-soft=", _M, "of all workers together", "scaling.memory", rule.map_cheaper_memory),
    declare("cheaper-rss-limit-hard=", _S, "`scaling.memory` is never passed by a worker that is added"),
    declare("cheaper-algo= cheaper-step= cheaper-overload= cheaper-busyness-max= cheaper-busyness-min= "
            "cheaper-busyness-multiplier= cheaper-busyness-penalty= cheaper-busyness-verbose "
            "cheaper-busyness-backlog-alert= cheaper-busyness-backlog-multiplier= cheaper-busyness-backlog-step= "
            "cheaper-busyness-backlog-nonzero=", _S, "busyness, queues and memory decide, without numbers to tune"),
    declare("cheap", _M, "no worker without requests, after `idle`", ("scaling.min", "scaling.max"),
            rule.map_cheap),
    declare("idle=", _M, "with `cheap`", "scaling.idle", rule.map_idle),
    declare("die-on-idle", _L, "the server stays when its last worker has gone; ending it comes later"),
    # Deadlines
    declare("harakiri= -t", _M, "503, and the request is told to end; the process is killed only if it does not",
            "deadlines.default", rule.map_deadline),
    declare("harakiri-graceful-timeout=", _M, "", "deadlines.grace", rule.map_grace),
    declare("harakiri-verbose", _S, "the stacks are always logged"),
    declare("harakiri-graceful-signal= harakiri-queue-threshold= harakiri-no-arh no-harakiri-arh "
            "no-harakiri-after-req-hook", _S, "a request is told to end by an exception"),
    # Reload and stop
    declare("die-on-term", _D, "SIGTERM drains and ends; without it, it reloads, as with uWSGI"),
    declare("exit-on-reload", _D, "a reload ends the server, for whoever starts it again"),
    declare("reload-mercy= worker-reload-mercy=", _M, "", "server.graceful_timeout", rule.map_mercy),
    declare("mule-reload-mercy=", _S, _NO_MULES),
    declare("touch-reload= touch-workers-reload=", _M,
            "new workers first, in any case", "reload.touch", rule.map_touch),
    declare("touch-chain-reload=", _M,
            "one worker after the other", ("reload.touch", "reload.strategy"), rule.map_chain),
    declare("touch-mules-reload= touch-spoolers-reload=", _L, "mules and the spooler come later"),
    declare("touch-logreopen=", _D, _TOUCH),
    declare("touch-logrotate=", _D, "logs are opened again; rotate with logrotate"),
    declare("touch-exec=", _D, _TOUCH),
    declare("touch-signal= hook-touch=", _L, "hooks on files come later; use touch-exec"),
    declare("fs-reload= fs-brutal-reload=", _M, "as `touch-reload`", "reload.touch", rule.map_touch),
    declare("fs-signal=", _L, "signals between processes come later"),
    declare("check-mountpoint= mountpoint-check= check-mount= mount-check=", _W,
            "a mount point that is gone is not looked for"),
    declare("propagate-touch", _S),
    declare("reload-on-fd= brutal-reload-on-fd=", _R, "watch a file with touch-reload"),
    declare("master-fifo=", _D, "r R w W c reload, q Q stop, p pause, + - scale, l L reopen logs, 0 to 9 choose"),
    declare("pidfile= pidfile2= safe-pidfile= safe-pidfile2=", _M, "", "server.pid_file", rule.map_pid_file),
    declare("daemonize= daemonize2= -d", _D, "better let systemd start it; the logs go to the file"),
    declare("vacuum", _S, "sockets and pid files are always removed"),
    declare("no-orphans", _S, "workers always end with their supervisor"),
    declare("reaper -r", _W, "children of the application are its own; run an init in the container"),
    declare("skip-atexit skip-atexit-teardown", _W, "exit handlers always run, within bounds"),
    declare("check-interval=", _S, "the supervisor waits for what happens"),
    declare("notify-socket=", _W, "NOTIFY_SOCKET is read, as systemd sets it"),
    declare("flock= flock-wait= flock2= flock-wait2=", _W, "a pid file keeps a second server from starting"),
    declare("use-abort backtrace-depth=", _S, "a crash of a worker is logged, and another is started"),
    declare("worker-exec= worker-exec2=", _R, "a worker is not another program"),
    declare("refork re-fork refork-as-root re-fork-as-root refork-post-jail re-fork-post-jail", _S,
            "each reload has a new fork server"),
    declare("zerg= zerg-fallback zerg-server= zergpool= zerg-pool=", _R,
            "sockets are not passed between servers; a reload loses no request"),
    # Names
    declare("auto-procname", _S, "processes always have names"),
    declare("procname=", _M, "", "server.name", rule.map_name),
    declare("procname-prefix= procname-prefix-spaced=", _M, "in front of the application's name", "server.name",
            rule.map_name_prefix),
    declare("procname-append= procname-master=", _S, "processes are named after their role"),
    declare("honour-stdin daemons-honour-stdin", _W, "workers read nothing from standard input"),
    declare("clock=", _S),
    declare("profiler=", _R, "use py-spy, which needs nothing in the server"),
    # Statistics
    declare("stats= stats-server=", _M, "", "metrics.uwsgi_stats", map_stats),
    declare("stats-http stats-minified stats-min stats-no-cores stats-no-metrics", _S, "belongs to `stats`"),
    declare("stats-push=", _M, "`statsd` alone, of the pushers; the metrics have names of their own", "metrics.statsd",
            map_stats_push),
    declare("stats-pusher-default-freq= stats-pushers-default-freq= carbon= carbon-timeout= carbon-freq= "
            "carbon-id= carbon-no-workers carbon-max-retry= carbon-retry-delay= carbon-root= carbon-hostname-dots= "
            "carbon-name-resolve carbon-resolve-names carbon-idle-avg= carbon-use-metrics rrdtool= rrdtool-freq= "
            "rrdtool-lib= zabbix-template?", _W, "statistics are not pushed there"),
    declare("enable-metrics metrics-no-cores", _S),
    declare("metric= metric-threshold= metric-alarm= alarm-metric= metrics-dir= metrics-dir-restore metric-dir= "
            "metric-dir-restore", _L, "metrics of the application come later"),
    declare("snmp? snmp-community=", _R, "SNMP is not spoken"),
    # The machine
    declare("uid=", _M, "", "server.user", rule.map_user),
    declare("gid=", _M, "", "server.group", rule.map_group),
    declare("immediate-uid= immediate-gid=", _M, "sockets and logs are opened before that",
            ("server.user", "server.group"), rule.map_immediate),
    declare("add-gid=", _M, "in place of the groups of the user", "process.groups", rule.map_groups),
    declare("no-initgroups", _W, "without `gid` a worker has all groups of its user"),
    declare("umask=", _M, "", "server.umask", rule.map_umask),
    declare("master-as-root drop-after-init drop-after-apps", _S,
            "the supervisor keeps its user, workers take theirs before they load"),
    declare("cpu-affinity=", _M, "1 gives each worker a core of its own", "process.cpus", rule.map_cores),
    declare("prio=", _M, "of workers", "process.nice", rule.map_priority),
    declare("limit-as= limit-nproc=", _M, "of each worker", "process.limits", rule.map_limits),
    declare("max-fd=", _S, "as many descriptors as the system allows are used"),
    declare("never-swap ksm?", _W, "memory is the kernel's to manage"),
    declare("binsh=", _W, "commands are run by /bin/sh"),
)  # fmt: skip
