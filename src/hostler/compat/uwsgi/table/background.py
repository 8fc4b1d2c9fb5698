"""What runs beside the workers, and what they share."""

from __future__ import annotations

from hostler.compat.uwsgi.option import Fate, Option, declare

_S, _W, _R, _L, _D = Fate.SILENT, Fate.WARNED, Fate.REFUSED, Fate.LATER, Fate.DOOR
_SPOOLER = "the spooler comes later; use a task queue"
_MULES = "mules come later; run the script as a service of its own"
_CRON = "cron comes later; use the system's, or a systemd timer"
_SHARED = "what processes share comes later"
_LEGION = "legions come later, with what only one node shall run: start that on one node"

OPTIONS: tuple[Option, ...] = (
    declare("spooler= spooler-external= -Q", _L, _SPOOLER),
    declare("spooler-ordered spooler-chdir= spooler-processes= spooler-quiet spooler-max-tasks= spooler-harakiri= "
            "spooler-frequency= spooler-freq=", _S, "belongs to the spooler, which comes later"),
    declare("mule? mules=", _L, _MULES),
    declare("farm= mule-harakiri= mule-msg-size?", _S, "belongs to mules, which come later"),
    declare("cron= cron2= unique-cron= curl-cron= cron-curl=", _L, _CRON),
    declare("cron-harakiri=", _S, "belongs to cron, which comes later"),
    declare("legion-cron= cron-legion= unique-legion-cron= unique-cron-legion= legion-curl-cron= legion-cron-curl= "
            "curl-cron-legion= cron-curl-legion=", _L, _LEGION),
    declare("attach-daemon=", _D, "started, kept alive and stopped with the server"),
    declare("attach-control-daemon=", _W, "run it as a service of its own, which the server depends on"),
    declare("smart-attach-daemon= smart-attach-daemon2= attach-daemon2=", _W,
            "run it as a service of its own, or with attach-daemon if it stays in the foreground"),
    declare("legion-attach-daemon= legion-smart-attach-daemon= legion-smart-attach-daemon2=", _L, _LEGION),
    declare("timer= signal-timer= rbtimer= signal-rbtimer= signal=", _L, "timers and signals come later"),
    declare("signal-bufsize= signals-bufsize=", _S),
    declare("locks= lock-engine= ftok= persistent-ipcsem", _L, _SHARED),
    declare("sharedarea= -A", _L, _SHARED),
    declare("queue= queue-blocksize= queue-store= queue-store-sync=", _L, _SHARED),
    declare("rpc-max=", _L, "calls between servers come later"),
    declare("legion= legion-mcast= legion-node= legion-freq= legion-tolerance= legion-death-on-lord-error= "
            "legion-skew-tolerance= legion-lord= legion-unlord= legion-setup= legion-death= legion-join= "
            "legion-node-joined= legion-node-left= legion-quorum= legion-scroll= legion-scroll-max-size= "
            "legion-scroll-list-max-size=", _L, _LEGION),
    declare("symcall= symcall-use-next symcall-register-rpc= symcall-post-fork=", _R,
            "no functions of a binary are called"),
)  # fmt: skip
