"""The test pods in Kubernetes' words: one pod per pod of a cluster, and one in the network of each node.

Fields are those of Pod in core/v1; the tests hold the text against the API server's schema of Kubernetes 1.35.
"""

from __future__ import annotations

import json
import re

from coursekit.cluster.model import Cluster

IMAGE = "nicolaka/netshoot:v0.15"  # a release of 2026-01; another day's image may hold other tools
_MAY = ", securityContext: {capabilities: {add: [NET_ADMIN, NET_RAW]}}"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def whole(described: Cluster, names: dict[str, str]) -> str:
    """Return the YAML for `kubectl apply -f`; `names` has what Kubernetes calls each node."""
    pods = [_yaml(pod_name(pod.name), names[pod.node], False) for pod in described.pods]
    return "---\n".join([*pods, *(_yaml(f"on-{name}", name, True) for name in names.values())])


def made(cluster: Cluster, names: dict[str, str]) -> list[str]:
    """Return what the manifest makes, in kubectl's words: `pod/NAME`."""
    return [f"pod/{pod_name(pod.name)}" for pod in cluster.pods] + [f"pod/on-{name}" for name in names.values()]


def pod_name(name: str) -> str:
    """Return the name that Kubernetes allows for a pod of a cluster file: `podA` is `poda`."""
    plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    return plain if LABEL.fullmatch(plain) else f"pod-{plain}"


def _yaml(name: str, node: str, on_the_node: bool) -> str:
    """Return one pod; the values are JSON strings, which YAML reads as they are."""
    lines = ["apiVersion: v1", "kind: Pod", f"metadata: {{name: {json.dumps(name)}, labels: {{app: test}}}}"]
    lines += ["spec:", f"  nodeName: {json.dumps(node)}", "  terminationGracePeriodSeconds: 0"]
    lines += ["  hostNetwork: true"] if on_the_node else []
    may = _MAY if on_the_node else ""
    lines += ["  containers:", f"  - {{name: netshoot, image: {IMAGE}, command: [sleep, infinity]{may}}}"]
    return "\n".join(lines) + "\n"
