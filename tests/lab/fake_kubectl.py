"""A kubectl that knows one cluster: it answers with what a real kernel's tables were, and notes what it is told.

It stands in for a real one, of which none was there: nodes and pods in the API's documented shapes, tables from the
recording of Calico's IPIP, ping as Calico's documentation prints it.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from coursekit.cluster.iproute2 import format_state_text
from coursekit.cluster.model import load
from coursekit.lab.minikube.kube_lab import KubeLab
from coursekit.lab.recording import recording
from tests.lab import documented

HOSTS = {"minikube": "node1", "minikube-m02": "node2", "pod-on-node1": "podA", "pod-on-node2": "podB"}
WIDE = "NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE NOMINATED-NODE\n"


def install(folder: Path, *, pods: bool = True, context: str = "minikube") -> None:
    """Put a kubectl into a folder, which knows one context; with `pods` the test pods are there already."""
    lab, state = load("lab"), recording("calico-ipip").tables()
    homes = {node.name: node for node in lab.nodes}
    listed = []
    for name, plain in HOSTS.items():
        if plain in homes:
            node = yaml.safe_load(documented.NODE_YAML)
            node["metadata"]["name"], node["status"]["addresses"][0]["address"] = name, str(homes[plain].address)
            listed.append(node)
        text = format_state_text({plain: state[plain]}).replace(f"######## {plain}", f"######## {name}")
        (folder / f"tables-{name}").write_text(text)
    (folder / "nodes").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": listed}))
    daemons = "".join(
        f"kube-system calico-node-{i} 1/1 Running 0 9h {node.address} {name} <none>\n"
        for i, (name, node) in enumerate(zip(("minikube", "minikube-m02"), lab.nodes, strict=True))
    )
    (folder / "pods-before").write_text(WIDE + daemons)
    made = "".join(f"default {n} 1/1 Running 0 9s {p.address} {m} <none>\n" for n, p, m in
                   zip([*HOSTS][2:], lab.pods, [*HOSTS][:2], strict=True))  # fmt: skip
    made += "".join(f"default on-{name} 1/1 Running 0 9s {node.address} {name} <none>\n" for name, node in
                    zip(("minikube", "minikube-m02"), lab.nodes, strict=True))  # fmt: skip
    (folder / "pods-after").write_text(WIDE + daemons + made)
    if pods:
        (folder / "applied").write_text("")
    pool = yaml.safe_load(documented.POOL_YAML)
    pool["spec"] |= {"cidr": "10.244.0.0/16", "ipipMode": "Always"}
    (folder / "pools").write_text(json.dumps({"kind": "List", "items": [pool]}))
    blocks = []
    for name, node in zip(("minikube", "minikube-m02"), lab.nodes, strict=True):
        spec = {"cidr": str(node.blocks[0]), "affinity": f"host:{name}"}
        blocks.append({"kind": "IPAMBlock", "metadata": {"name": name}, "spec": spec})
    (folder / "blocks").write_text(json.dumps({"kind": "List", "items": blocks}))
    (folder / "ping").write_text(str(KubeLab().said["ping"]))
    (folder / "status").write_text(documented.SHOW_STATUS)
    tool = folder / "kubectl"
    tool.write_text(f"""#!/bin/sh
echo "$*" >>{folder}/log
[ "$1 $2" = "--context {context}" ] || {{ echo "error: context \\"$2\\" does not exist" >&2; exit 1; }}
case "$*" in
*"get nodes"*) cat {folder}/nodes ;;
*"get pods"*) if [ -e {folder}/applied ]; then cat {folder}/pods-after; else cat {folder}/pods-before; fi ;;
*ippools*) cat {folder}/pools ;;
*ipamblocks*) cat {folder}/blocks ;;
*"get pod "*jsonpath*) echo 10.244.1.7 ;;
*"get pod "*) echo pod/calico-node-0 ;;
*" apply "*) cat >{folder}/applied ;;
*show-status*) cat {folder}/status ;;
*"######## "*) host=$(echo "$*" | sed 's/.*######## \\([a-z0-9-]*\\)".*/\\1/'); cat {folder}/tables-$host ;;
*4789*) exit 124 ;;
*tcpdump*) echo 'IP 192.168.1.10 > 192.168.1.11: IP 10.244.0.5 > 10.244.1.7: ICMP echo request, id 1, seq 1' ;;
*" -s 1453 "*) echo 'ping: local error: message too long, mtu=1480'; exit 1 ;;
*" ping "*) cat {folder}/ping ;;
esac
""")
    tool.chmod(0o755)
