"""Isolation, hooks, and many servers on one machine."""

from __future__ import annotations

from hostler.compat.uwsgi import rule_hook as hook
from hostler.compat.uwsgi import rule_process as rule
from hostler.compat.uwsgi.option import Fate, Option, declare

_M, _S, _R, _L = Fate.MAPPED, Fate.SILENT, Fate.REFUSED, Fate.LATER
_ISOLATION = (
    "the server would run with more than it asks for: set this in the systemd unit or the container, and take it out"
)
_ACTIONS = "done are the actions that run a command, work on files, or print"
_MOUNTS = "nothing is mounted; do it in the systemd unit or the container, and take this out"
_EMPEROR = "many servers on one machine come later; start each vassal with `hostler uwsgi` in a systemd unit"
_CALL = "no functions of a binary are called"

OPTIONS: tuple[Option, ...] = (
    # Isolation
    declare("chroot=", _M, "of workers; the interpreter must be in there", "process.chroot", rule.map_root),
    declare("pivot-root= pivot_root=", _R, _ISOLATION),
    declare("cap=", _M, "what workers keep", "process.capabilities", rule.map_capabilities),
    declare("unshare= unshare2= namespace= namespace-keep-mount= ns= namespace-net= ns-net=", _R, _ISOLATION),
    declare("cgroup= cgroup-opt= cgroup-dir-mode=", _R,
            "control groups of version 2 have other names: set HOSTLER_PROCESS_CGROUP, and take this out"),
    declare("setns-socket= setns-socket-skip= setns-skip= setns= setns-preopen", _R, _ISOLATION),
    declare("jailed jail= jail-ip4= jail-ip6= jidfile= jid-file= jail2= libjail= jail-attach=", _R, _ISOLATION),
    # Hooks
    declare("exec-asap= exec-pre-jail= exec-post-jail= exec-in-jail= exec-as-root=", _M,
            "with the rights of root", "hooks.prepare", hook.map_command),
    declare("exec-as-user= exec-pre-app=", _M, "", "hooks.prepare", hook.map_command),
    declare("exec-post-app=", _M, "", "hooks.serving", hook.map_command),
    declare("exec-as-user-atexit=", _M, "", "hooks.ended", hook.map_command),
    declare("hook-asap= hook-pre-jail= hook-post-jail= hook-in-jail= hook-as-root=", _M,
            f"with the rights of root; {_ACTIONS}", "hooks.prepare", hook.map_hook),
    declare("hook-as-user= hook-pre-app=", _M, _ACTIONS, "hooks.prepare", hook.map_hook),
    declare("hook-master-start=", _M,
            f"`unix_signal:15 gracefully_kill_them_all` has SIGTERM drain; else {_ACTIONS}", "hooks.prepare",
            hook.map_hook),
    declare("hook-post-fork=", _M, _ACTIONS, "hooks.worker_forked", hook.map_hook),
    declare("hook-accepting=", _M, f"in each worker, before it accepts; {_ACTIONS}", "hooks.worker_loaded",
            hook.map_hook),
    declare("hook-post-app= hook-accepting1= hook-accepting-once= hook-accepting1-once=", _M, _ACTIONS,
            "hooks.serving", hook.map_hook),
    declare("hook-as-user-atexit=", _M, _ACTIONS, "hooks.ended", hook.map_hook),
    declare("hook-as-mule= hook-as-gateway=", _S, "there are no mules and no router processes"),
    declare("mount-asap= mount-pre-jail= mount-post-jail= mount-in-jail= mount-as-root= mount-as-vassal= "
            "mount-as-emperor= umount-asap= umount-pre-jail= umount-post-jail= umount-in-jail= umount-as-root= "
            "umount-as-vassal= umount-as-emperor=", _R, _MOUNTS),
    declare("call-asap= call-pre-jail= call-post-jail= call-in-jail= call-as-root= call-as-user= call-as-user-atexit= "
            "call-pre-app= call-post-app= call-as-vassal= call-as-vassal1= call-as-vassal3= call-as-emperor= "
            "call-as-emperor1= call-as-emperor2= call-as-emperor4=", _R, _CALL),
    declare("wait-for-interface= wait-for-interface-timeout= wait-interface= wait-interface-timeout= wait-for-iface= "
            "wait-for-iface-timeout= wait-iface= wait-iface-timeout= wait-for-fs= wait-for-file= wait-for-dir= "
            "wait-for-mountpoint= wait-for-fs-timeout= wait-for-socket= wait-for-socket-timeout=", _L,
            "the start does not wait yet; order the systemd units (After, RequiresMountsFor)"),
    # Emperor
    declare("emperor= early-emperor", _R, _EMPEROR),
    declare("emperor-proxy-socket= emperor-wrapper= emperor-wrapper-override= emperor-wrapper-fallback= "
            "emperor-nofollow emperor-procname= emperor-freq= emperor-required-heartbeat= emperor-curse-tolerance= "
            "emperor-pidfile= emperor-tyrant emperor-tyrant-nofollow emperor-stats= emperor-stats-server= "
            "emperor-broodlord= emperor-throttle= emperor-max-throttle= emperor-magic-exec "
            "emperor-on-demand-extension= emperor-on-demand-ext= emperor-on-demand-directory= emperor-on-demand-dir= "
            "emperor-on-demand-exec= emperor-extra-extension= emperor-extra-ext= emperor-no-blacklist "
            "emperor-use-clone= emperor-graceful-shutdown emperor-cap=", _S, "belongs to `emperor`"),
    declare("vassals-cap= vassal-cap= vassals-inherit= vassals-include= vassals-inherit-before= "
            "vassals-include-before= vassals-start-hook= vassals-stop-hook= vassals-set= vassal-set=", _S,
            "belongs to `emperor`"),
    declare("hook-emperor-start= hook-emperor-stop= hook-emperor-reload= hook-emperor-lost= hook-as-vassal= "
            "hook-as-emperor= exec-as-vassal= exec-as-emperor=", _S, "belongs to `emperor`"),
    declare("vassal-sos= vassal-sos-backlog= heartbeat=", _S, "there is no Emperor to tell"),
)  # fmt: skip
