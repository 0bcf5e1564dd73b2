"""Outputs of Kubernetes, Minikube and Calico as their own documentation and sources show them: evidence *documented*.

Nothing here was recorded by the course. Each text says which file of which commit it stands in; tables that a program
would rule are ruled here as its table writer does.
"""

from __future__ import annotations

# kubernetes/website content/en/docs/tasks/debug/debug-cluster/_index.md @0375563fd11e8f3eb39c605d1c42da8e485ff949
NODE_YAML = """\
apiVersion: v1
kind: Node
metadata:
  annotations:
    kubeadm.alpha.kubernetes.io/cri-socket: /run/containerd/containerd.sock
    node.alpha.kubernetes.io/ttl: "0"
    volumes.kubernetes.io/controller-managed-attach-detach: "true"
  creationTimestamp: "2022-02-17T21:46:30Z"
  labels:
    kubernetes.io/arch: amd64
    kubernetes.io/hostname: kube-worker-1
    kubernetes.io/os: linux
  name: kube-worker-1
  resourceVersion: "4026"
  uid: 98efe7cb-2978-4a0b-842a-1a7bf12c05f8
spec: {}
status:
  addresses:
  - address: 192.168.0.113
    type: InternalIP
  - address: kube-worker-1
    type: Hostname
  capacity:
    cpu: "2"
    memory: 2025188Ki
    pods: "110"
  conditions:
  - lastHeartbeatTime: "2022-02-17T22:20:32Z"
    lastTransitionTime: "2022-02-17T22:20:32Z"
    message: Weave pod has set this
    reason: WeaveIsUp
    status: "False"
    type: NetworkUnavailable
  - lastHeartbeatTime: "2022-02-17T22:20:15Z"
    lastTransitionTime: "2022-02-17T22:15:15Z"
    message: kubelet is posting ready status. AppArmor enabled
    reason: KubeletReady
    status: "True"
    type: Ready
"""

# kubernetes/website content/en/docs/tasks/debug/debug-application/debug-running-pod.md
# @069f73fd83371b9517369ef04ddc6fd967d8f770
POD_YAML = """\
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: "2022-02-17T21:51:01Z"
  generateName: nginx-deployment-67d4bdd6f5-
  labels:
    app: nginx
    pod-template-hash: 67d4bdd6f5
  name: nginx-deployment-67d4bdd6f5-w6kd7
  namespace: default
  resourceVersion: "1364"
  uid: a6501da1-0447-4262-98eb-c03d4002222e
spec:
  containers:
  - image: nginx
    imagePullPolicy: Always
    name: nginx
    ports:
    - containerPort: 80
      protocol: TCP
  dnsPolicy: ClusterFirst
  nodeName: kube-worker-1
  restartPolicy: Always
  schedulerName: default-scheduler
  securityContext: {}
status:
  conditions:
  - lastProbeTime: null
    lastTransitionTime: "2022-02-17T21:51:06Z"
    status: "True"
    type: Ready
  hostIP: 192.168.0.113
  phase: Running
  podIP: 10.88.0.3
  podIPs:
  - ip: 10.88.0.3
  - ip: 2001:db8::1
  qosClass: Guaranteed
  startTime: "2022-02-17T21:51:01Z"
"""

# kubernetes/minikube site/content/en/docs/tutorials/multi_node.md @149e9a01b6cb997829692be249a601489c60e396
MINIKUBE_PODS = """\
NAME                     READY   STATUS    RESTARTS   AGE   IP           NODE                 NOMINATED NODE   READINESS GATES
hello-695c67cf9c-bzrzk   1/1     Running   0          22s   10.244.1.2   multinode-demo-m02   <none>           <none>
hello-695c67cf9c-frcvw   1/1     Running   0          22s   10.244.0.3   multinode-demo       <none>           <none>
"""  # noqa: E501

# The rest, unless it says otherwise: tigera/docs calico/operations/troubleshoot/commands.mdx
# @11654a5b01d8bed287a01d20f35ed1093dff46fe
CALICO_PODS = """\
NAME                        READY   STATUS    RESTARTS   AGE   IP             NODE
calico-node-77zgj           1/1     Running   0          27h   10.0.0.10      ip-10-0-0-10
calico-node-nz8k2           1/1     Running   0          27h   10.0.0.11      ip-10-0-0-11
calico-node-7trv7           1/1     Running   0          27h   10.0.0.12      ip-10-0-0-12
"""
ROUTES_FELIX = """\
default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.10 metric 100
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.10
10.0.0.1 dev eth0 proto dhcp scope link src 10.0.0.10 metric 100
10.48.66.128/26 via 10.0.0.12 dev eth0 proto 80 onlink
10.48.231.0/26 via 10.0.0.11 dev eth0 proto 80 onlink
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown
"""
ROUTES_BIRD = """\
192.168.66.128/26 via 10.0.0.12 dev tunl0 proto bird onlink
192.168.180.192/26 via 10.0.0.10 dev tunl0 proto bird onlink
blackhole 192.168.231.0/26 proto bird
"""
CALICOCTL_STATUS = """\
Calico process is running.

IPv4 BGP status
+--------------+-------------------+-------+------------+-------------+
| PEER ADDRESS |     PEER TYPE     | STATE |   SINCE    |    INFO     |
+--------------+-------------------+-------+------------+-------------+
| 10.0.0.12    | node-to-node mesh | up    | 2020-11-25 | Established |
| 10.0.0.11    | node-to-node mesh | up    | 2020-11-25 | Established |
+--------------+-------------------+-------+------------+-------------+
"""
BIRDCL_ROUTES = """\
[root@ip-10-0-0-11 /] birdcl
BIRD v0.3.3+birdv1.6.8 ready.
bird> show route
0.0.0.0/0          via 10.0.0.1 on eth0 [kernel1 18:13:33] * (10)
10.0.0.0/24        dev eth0 [direct1 18:13:32] * (240)
10.0.0.1/32        dev eth0 [kernel1 18:13:33] * (10)
10.48.231.2/32     dev calieb874a8ef0b [kernel1 18:13:41] * (10)
10.48.231.1/32     dev caliaeaa173109d [kernel1 18:13:35] * (10)
10.48.231.0/26     blackhole [static1 18:13:32] * (200)
10.48.231.0/32     dev vxlan.calico [direct1 18:13:32] * (240)
10.48.180.192/26   via 10.0.0.10 on eth0 [Mesh_10_0_0_10 18:13:34] * (100/0) [i]
                   via 10.0.0.10 on eth0 [Mesh_10_0_0_12 18:13:41 from 10.0.0.12] (100/0) [i]
                   via 10.0.0.10 on eth0 [kernel1 18:13:33] (10)
10.48.66.128/26    via 10.0.0.12 on eth0 [Mesh_10_0_0_10 18:13:36 from 10.0.0.10] * (100/0) [i]
                   via 10.0.0.12 on eth0 [Mesh_10_0_0_12 18:13:41] (100/0) [i]
                   via 10.0.0.12 on eth0 [kernel1 18:13:36] (10)
"""

# Rows of projectcalico/calico node/pkg/status/populators/peers_test.go @245d235f9818d18a1ef2a97347fff13614d78106 and
# route_test.go @07dc0bc36eff221d6f6ae5b3d1dc6b1d6c5d2ca0, ruled as printPeers and printRoutes of peers.go, route.go do.
SHOW_STATUS = """\

bird v4 status
+-------+----------------------+------------+---------------------+---------------------+---------------------+
| READY |       VERSION        |  ROUTEID   |     SERVERTIME      |      LASTBOOT       |    LASTRECONFIG     |
+-------+----------------------+------------+---------------------+---------------------+---------------------+
| true  | v0.3.3+birdv1.6.8    | 172.17.0.3 | 2021-09-19 20:48:43 | 2021-09-19 20:10:56 | 2021-09-19 20:10:56 |
+-------+----------------------+------------+---------------------+---------------------+---------------------+

bird v4 BGP peers
+--------------+-----------+-------+------------+-------------+
| PEER ADDRESS | PEER TYPE | STATE |   SINCE    |  BGPSTATE   |
+--------------+-----------+-------+------------+-------------+
| 172.17.8.102 | Mesh      | up    | 2016-11-21 | Established |
| 172.17.8.103 | Global    | up    | 2016-11-21 | Established |
| 172.17.8.104 | Node      | down  | 2016-11-21 | OpenSent    |
+--------------+-----------+-------+------------+-------------+

bird v4 routes
+--------------------+-----------------+----------------+------------------------+---------+
|    DESTINATION     |     GATEWAY     |     IFACE      |      LEARNEDFROM       | PRIMARY |
+--------------------+-----------------+----------------+------------------------+---------+
| 0.0.0.0/0          | 172.17.0.1      | eth0           | kernel1                | *       |
| 192.168.110.128/26 | 172.17.0.5      | eth0           | Mesh_172_17_0_5        | *       |
| 192.168.82.0/26    | 172.17.0.4      | eth0           | Mesh_172_17_0_4        | *       |
| 192.168.82.0/26    | 100.100.100.100 | em0            | Global_100_100_100_100 |         |
| 192.168.162.128/26 | N/A             | blackhole      | static1                | *       |
| 192.168.162.128/32 | N/A             | tunl0          | direct1                | *       |
| 192.168.162.129/32 | N/A             | calie58e37f9a7f | kernel1               | *       |
| 172.17.0.0/16      | N/A             | eth0           | direct1                | *       |
| 192.168.69.128/26  | N/A             | unreachable    | Mesh_10_128_0_244      |         |
+--------------------+-----------------+----------------+------------------------+---------+
"""
BIRD_PROTOCOLS = """\
BIRD 1.5.0 ready.
name     proto    table    state  since       info
kernel1  Kernel   master   up     2016-11-21
device1  Device   master   up     2016-11-21
direct1  Direct   master   up     2016-11-21
Mesh_172_17_8_102 BGP      master   up     2016-11-21  Established
Node_172_17_8_104 BGP      master   down     2016-11-21  Failed  Socket: error
"""

# tigera/docs calico/reference/resources/ippool.mdx @02819bb5c5cbb88f7402ca494d5493aa49b1b63c
POOL_YAML = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: my.ippool-1
spec:
  cidr: 10.1.0.0/16
  ipipMode: CrossSubnet
  natOutgoing: true
  disabled: false
  nodeSelector: all()
  allowedUses:
    - Workload
    - Tunnel
"""
