"""Deployment, Service and Ingress for Kubernetes."""

from __future__ import annotations

import json

from hostler.generate.choice import Choices
from hostler.generate.command import build_container_arguments, quote_list
from hostler.generate.container import MARGIN, UID, build_probe, find_port, list_writable, write_trust
from hostler.generate.front import build_silence, seconds
from hostler.generate.model import File, Project

# Seconds in which the other nodes learn that a pod is about to go, while it still serves; arbitrary, as in most guides.
FAREWELL = 5
PROBE_PERIOD = 5
STARTUP_PERIOD = 2
MIB = 1024 * 1024


def build_kubernetes(project: Project, choices: Choices) -> tuple[File, ...]:
    """Build the manifests.

    Raises:
        ConfigurationError: the configuration is outside the directory that the image is made of.
    """
    parts = [_write_deployment(project, choices), _write_service(project), _write_ingress(project, choices)]
    return (File(f"{project.name}.kubernetes.yaml", "---\n".join(parts)),)


def _write_deployment(project: Project, choices: Choices) -> str:
    config, name, port = project.config, project.name, find_port(project)
    grace = FAREWELL + seconds(config.server.graceful_timeout) + MARGIN
    image = choices.image or f"registry.example.org/{name}:1.0"
    # Kubernetes replaces $(NAME) in commands; $$ is a dollar sign.
    command = quote_list(build_container_arguments(project, port)).replace("$(", "$$(")
    missing = f" It must have {', '.join(project.secrets)}." if project.secrets else ""
    return f"""\
# {name} on Kubernetes. Made by `hostler generate kubernetes`; yours to change.
#
# The image:        hostler generate docker; build it, push it{"" if choices.image else ", and name it here (--image)"}
# Secrets:          kubectl create secret generic {name} --from-env-file=FILE.{missing}
# Check and apply:  kubectl apply --dry-run=server --filename FILE && kubectl apply --filename FILE
{write_trust(project, "the ingress controller", "that of its pods")}apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: &labels
    app.kubernetes.io/name: {name}
spec:
  replicas: {choices.replicas}
  selector:
    matchLabels: *labels
  strategy:
    # A new pod is ready before an old one goes.
    rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata:
      labels: *labels
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # preStop, then server.graceful_timeout, then a margin.
      terminationGracePeriodSeconds: {grace}
      securityContext:
        runAsNonRoot: true
        runAsUser: {UID}
        runAsGroup: {UID}
        fsGroup: {UID}
        seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: {name}
          image: {image}
          command: {command}
          ports:
            - {{name: http, containerPort: {port}}}
          envFrom:
            - secretRef: {{name: {name}, optional: {"false" if project.secrets else "true"}}}
          # Covers workers.boot_timeout; the other probes begin when this one has succeeded.
          startupProbe:
            {_write_probe(choices, port)}
            periodSeconds: {STARTUP_PERIOD}
            timeoutSeconds: 5
            failureThreshold: {max(1, seconds(config.workers.boot_timeout) // STARTUP_PERIOD)}
          readinessProbe:
            {_write_probe(choices, port)}
            periodSeconds: {PROBE_PERIOD}
            timeoutSeconds: 5
          # Hostler replaces its workers by itself; this asks for the supervisor's sockets only.
          livenessProbe:
            tcpSocket: {{port: http}}
            periodSeconds: 10
          lifecycle:
            preStop:
              # The pod still serves while the others learn that it goes.
              exec: {{command: ["sleep", "{FAREWELL}"]}}
{_write_resources(project)}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
          # For request bodies that are larger than limits.body_memory.
          volumeMounts:
{_write_mounts(project)}
      volumes:
{_write_volumes(project)}
"""


def _write_resources(project: Project) -> str:
    """Write what a pod gets; arbitrary. Without a limit on cpu, "auto" would be a worker for each core of the node."""
    is_auto = project.config.workers.count == "auto"
    comment = '; workers.count is "auto" and follows the limit on cpu' if is_auto else ""
    cpu = 'cpu: "1", ' if is_auto else ""
    return f"""\
          # Measure, then set these{comment}.
          resources:
            requests: {{cpu: 100m, memory: 128Mi}}
            limits: {{{cpu}memory: 512Mi}}"""


def _write_probe(choices: Choices, port: int) -> str:
    if not choices.health_path:
        return f"exec: {{command: {quote_list(build_probe(port, ''))}}}"
    host = (
        f", httpHeaders: [{{name: Host, value: {json.dumps(choices.server_names[0])}}}]" if choices.server_names else ""
    )
    return f"httpGet: {{path: {json.dumps(choices.health_path)}, port: http{host}}}"


def _write_mounts(project: Project) -> str:
    return "\n".join(
        f"            - {{name: bodies-{index}, mountPath: {json.dumps(path)}}}"
        for index, path in enumerate(list_writable(project))
    )


def _write_volumes(project: Project) -> str:
    return "\n".join(
        f"        - {{name: bodies-{index}, emptyDir: {{}}}}" for index, _ in enumerate(list_writable(project))
    )


def _write_service(project: Project) -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata:
  name: {project.name}
spec:
  selector:
    app.kubernetes.io/name: {project.name}
  ports:
    - {{name: http, port: 80, targetPort: http}}
"""


def _write_ingress(project: Project, choices: Choices) -> str:
    size = project.config.limits.body_size
    hosts = choices.server_names or ("",)
    tls = (
        f"  tls:\n    - hosts: {json.dumps(list(choices.server_names))}\n      secretName: {choices.tls_secret}\n"
        if choices.tls_secret
        else ""
    )
    ingress_class = f"  ingressClassName: {choices.ingress_class}\n" if choices.ingress_class else ""
    silence = build_silence(project)
    rules = "".join(_write_rule(project, host) for host in hosts)
    return f"""\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {project.name}
  annotations:
    # For controllers made of nginx; others have names of their own for limits.body_size and timeouts.
    nginx.ingress.kubernetes.io/proxy-body-size: "{-(-size // MIB)}m"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "{silence}"
    nginx.ingress.kubernetes.io/proxy-send-timeout: "{silence}"
spec:
{ingress_class}{tls}  rules:
{rules}"""


def _write_rule(project: Project, host: str) -> str:
    first = f"host: {json.dumps(host)}\n      http" if host else "http"
    path = json.dumps(project.config.app.script_name or "/")
    return f"""\
    - {first}:
        paths:
          - path: {path}
            pathType: Prefix
            backend: {{service: {{name: {project.name}, port: {{name: http}}}}}}
"""
