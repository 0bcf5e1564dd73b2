"""A profile: how nodes learn where a pod block lives, and how the packet is carried there.

The defaults are flannel's and Calico's own: flannel backend.md and vxlan.go (VNI 1, kernel port 8472), felix
config_params.go (VNI 4096, port 4789). A profile takes only the options that exist in the real program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from coursekit.errors import CourseError, given, suggestion
from coursekit.packets.encapsulation import ENCAPSULATIONS, Encapsulation


@dataclass(frozen=True)
class Profile:
    """One point on the grid control plane × data plane, with the options that its program knows."""

    name: str = "none"
    cross_subnet: bool = False  # Calico: encapsulate only between subnets
    direct_routing: bool = False  # flannel: the same idea
    vni: int = 0
    port: int = 0  # UDP destination port
    udp_checksum: bool = True
    df: str = "unset"  # unset, set or inherit: the outer DF, as `ip link … type vxlan df`
    bound: bool = True  # VXLAN device made with `dev eth0`: the kernel then caps its MTU
    masquerade: str = "none"  # none, outside (of the pod network) or all: source NAT of pods on their node
    router_routes: bool = False  # routers hold static routes to every block
    bgp: str = "mesh"  # whom a node peers with: mesh (every other), route-reflector or tor (the routers of its segment)
    keep_mesh: bool = False  # the node-to-node mesh left on beside a reflector or ToR
    reflector: str = "node"  # what reflects: node (the first ones) or tor
    reflectors: int = 1  # how many nodes reflect, with one cluster id
    rr_client: bool = True  # whether the reflector has been told that the nodes are its clients
    asn: str = "per-node"  # AS numbers of the nodes of a tor: per-node, per-rack (and its ToR reflects), shared
    allowas_in: int = 0  # tor: nodes accept AS_PATHs that hold their own AS this often
    as_override: bool = False  # tor: routers write their AS over the node's
    next_hop_self: bool = False  # tor: routers name themselves as next hop
    version: str = "3.31"  # of Calico: 3.30 … 3.33 print different route attributes

    @property
    def kind(self) -> str:
        """How packets are carried between nodes: vxlan, ipip or native."""
        return _KIND[self.name]

    @property
    def calico(self) -> bool:
        """Whether pods are wired as Calico does (routed veth, proxy ARP) instead of on a bridge."""
        return self.name.startswith("calico-")

    @property
    def learns_by_bgp(self) -> bool:
        """Whether BIRD tells the kernel where remote blocks are (for IPIP until 3.32; later Felix does)."""
        return self.name == "calico-bgp" or (self.name == "calico-ipip" and self.version < "3.33")

    @property
    def direct(self) -> bool:
        """Whether nodes of one subnet skip the tunnel."""
        return self.cross_subnet or self.direct_routing

    @property
    def device(self) -> str | None:
        """Name of the tunnel device: flannel.<VNI>, vxlan.calico, tunl0 or None."""
        if self.name == "flannel-vxlan":
            return f"flannel.{self.vni}"
        return {"calico-vxlan": "vxlan.calico", "calico-ipip": "tunl0"}.get(self.name)

    @property
    def encapsulation(self) -> Encapsulation:
        """The bytes this profile puts around a packet that goes through its tunnel."""
        if self.kind != "vxlan":
            return ENCAPSULATIONS["calico-ipip" if self.kind == "ipip" else "native"]
        df: Literal["clear", "inherit", "set"] = (
            "set" if self.df == "set" else "inherit" if self.df == "inherit" else "clear"
        )
        base = ENCAPSULATIONS[self.name]
        return replace(base, vni=self.vni, port=self.port, udp_checksum=self.udp_checksum, df=df)


_VXLAN: dict[str, Any] = {"udp_checksum": True, "df": "unset", "bound": True, "masquerade": "none"}
_BGP: dict[str, Any] = {"bgp": "mesh", "keep_mesh": False, "reflector": "node", "reflectors": 1, "rr_client": True,
                        "asn": "per-node", "allowas_in": 0, "as_override": False, "next_hop_self": False}  # fmt: skip
# Every profile with the options it takes and their defaults.
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "none": {"masquerade": "none", "router_routes": False},
    "host-gw": {"masquerade": "none", "router_routes": False},
    "flannel-vxlan": {"direct_routing": False, "vni": 1, "port": 8472, **_VXLAN},
    "calico-vxlan": {"cross_subnet": False, "vni": 4096, "port": 4789, **_VXLAN, "version": "3.31"},
    "calico-ipip": {"cross_subnet": False, **_BGP, "masquerade": "none", "version": "3.31"},
    "calico-bgp": {**_BGP, "masquerade": "none", "version": "3.31"},
}
_KIND = {"flannel-vxlan": "vxlan", "calico-vxlan": "vxlan", "calico-ipip": "ipip"} | dict.fromkeys(
    ("none", "host-gw", "calico-bgp"), "native"
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "masquerade": ("none", "outside", "all"),
    "df": ("unset", "set", "inherit"),
    "bgp": ("mesh", "route-reflector", "tor"),
    "reflector": ("node", "tor"),
    "asn": ("per-node", "per-rack", "shared"),
    "version": ("3.30", "3.31", "3.32", "3.33"),
}
_LONGEST_NAME = 9_999_999  # the VNI in flannel.<VNI>
_RANGES = {"vni": (0, 2**24 - 1), "port": (1, 65535), "reflectors": (1, 100), "allowas_in": (0, 10)}
# Options that mean something only with certain values of `bgp`.
_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "keep_mesh": ("route-reflector", "tor"), "reflector": ("route-reflector",), "reflectors": ("route-reflector",),
    "rr_client": ("route-reflector", "tor"), "asn": ("tor",), "allowas_in": ("tor",), "as_override": ("tor",),
    "next_hop_self": ("tor",),
}  # fmt: skip


def make_profile(name: str, options: Mapping[str, Any], where: str = "profile") -> Profile:
    """Return the profile `name` with `options`; raises CourseError naming `where` and the option that does not fit."""
    if not isinstance(name, str) or name not in PROFILES:
        near = suggestion(str(name), PROFILES)
        raise CourseError(f"{where}.name: {given(name)} is no profile{near}; there are {', '.join(PROFILES)}.")
    defaults = PROFILES[name]
    for key, value in options.items():
        if key not in defaults:
            owners = [other for other, known in PROFILES.items() if key in known]
            what = f"belongs to {', '.join(owners)}" if owners else "is no option"
            hint = suggestion(key, defaults) if not owners else ""
            raise CourseError(
                f"{where}.{key}: it {what}, not to profile {name}{hint}; {name} takes {', '.join(defaults)}."
            )
        _check_option(f"{where}.{key}", key, value, defaults[key])
    if name == "flannel-vxlan" and options.get("vni", 0) > _LONGEST_NAME:
        raise CourseError(
            f"{where}.vni: flannel would name its device flannel.{options['vni']}, and a device's name has at most 15 "
            f"characters; choose a VNI up to {_LONGEST_NAME}."
        )
    chosen = {**defaults, **options}.get("bgp", "mesh")
    for key, value in options.items():
        if chosen not in _ONLY_WITH.get(key, (chosen,)) and value != defaults[key]:
            raise CourseError(
                f"{where}.{key}: it does nothing with bgp = {chosen!r}; it goes with {' or '.join(_ONLY_WITH[key])}."
            )
    return Profile(name, **{**defaults, **options})


def _check_option(where: str, key: str, value: Any, default: Any) -> None:
    if type(value) is not type(default):
        names = {bool: "true or false", int: "a whole number", str: "a string"}
        raise CourseError(f"{where}: {given(value)} was given, {names[type(default)]} was expected, like {default!r}.")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise CourseError(
            f"{where}: {value!r} was given{suggestion(value, _CHOICES[key])}; choose one of {', '.join(_CHOICES[key])}."
        )
    if key in _RANGES and not _RANGES[key][0] <= value <= _RANGES[key][1]:
        raise CourseError(f"{where}: {value} is outside {_RANGES[key][0]} to {_RANGES[key][1]}.")
