"""Isolation, hooks, and many servers on one machine."""

from __future__ import annotations

from hostler.compat.uwsgi import rule_process as rule
from hostler.compat.uwsgi.option import Fate, Option, declare

_M, _S, _R, _L, _D = Fate.MAPPED, Fate.SILENT, Fate.REFUSED, Fate.LATER, Fate.DOOR
_ISOLATION = (
    "the server would run with more than it asks for: set this in the systemd unit or the container, and take it out"
)
_HOOKS = "hooks come later; do it in the systemd unit (ExecStartPre, ExecStopPost) or the application"
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
    declare("hook-master-start=", _D, "`unix_signal:15 gracefully_kill_them_all` has SIGTERM drain; no other", (),
            rule.map_master_start),
    declare("hook-asap= hook-pre-jail= hook-post-jail= hook-in-jail= hook-as-root= hook-as-user= hook-as-user-atexit= "
            "hook-pre-app= hook-post-app= hook-post-fork= hook-accepting= hook-accepting1= hook-accepting-once= "
            "hook-accepting1-once= hook-as-mule= hook-as-gateway=", _L, _HOOKS),
    declare("exec-asap= exec-pre-jail= exec-post-jail= exec-in-jail= exec-as-root= exec-as-user= exec-as-user-atexit= "
            "exec-pre-app= exec-post-app=", _L, _HOOKS),
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
