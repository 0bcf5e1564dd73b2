"""The same lab on a Minikube cluster: what to type, what comes back, and that cluster in the course's own types.

Nothing here was run on a real Minikube: formats are those of the projects' sources and documentation.
"""

from coursekit.lab.minikube.calico import Peer, peers, routes
from coursekit.lab.minikube.kube_lab import KubeLab, reached
from coursekit.lab.minikube.kubectl import Block, KubeNode, KubePod, Pool, blocks, nodes, pods, pools
from coursekit.lab.minikube.runner import Done, missing, run
from coursekit.lab.minikube.steps import Step, manifest, script, steps
from coursekit.lab.minikube.yours import cluster, host_tables, mode, network

__all__ = [
    "Block", "Done", "KubeLab", "KubeNode", "KubePod", "Peer", "Pool", "Step", "blocks", "cluster", "host_tables",
    "manifest", "missing", "mode", "network", "nodes", "peers", "pods", "pools", "reached", "routes", "run", "script",
    "steps",
]  # fmt: skip
