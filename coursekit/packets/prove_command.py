"""`python -m coursekit prove INSIDE OUTSIDE --profile NAME`: is the envelope the kernel's, bit for bit."""

from __future__ import annotations

import argparse
import json
from typing import Any

from coursekit.packets.capture import load
from coursekit.packets.encapsulation import ENCAPSULATIONS, encapsulation
from coursekit.packets.prove import prove

EPILOG = """\
Frames that enter the tunnel where INSIDE was taken are compared: from a pod's eth0, its host end (veth, cali*, cni0)
or the tunnel device. What is not given is read from OUTSIDE: addresses, MACs, VNI, port, zero or computed checksum.

exit status: 0 all compared frames are identical, and there was one; 1 otherwise; 2 for input that cannot be used

profiles:
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "prove", help="rebuild the frames outside a tunnel from those inside it, and compare", description=__doc__,
        epilog=EPILOG + "\n".join(f"  {name:16}{item.about}" for name, item in ENCAPSULATIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inside", metavar="INSIDE", help="capture without the envelope (pcap, pcapng)")
    parser.add_argument("outside", metavar="OUTSIDE", help="capture with the envelope")
    parser.add_argument("--profile", required=True, metavar="NAME", help=", ".join(ENCAPSULATIONS))
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--vni", type=int, help="demand this VXLAN network identifier")
    parser.add_argument("--port", type=int, help="demand this UDP destination port")
    parser.add_argument("--src", metavar="ADDRESS", help="demand this outer source, the node that encapsulates")
    parser.add_argument("--dst", metavar="ADDRESS", help="demand this outer destination")
    parser.add_argument("--ttl", type=int, help="demand this outer TTL instead of the profile's")
    parser.add_argument("--df", choices=("clear", "inherit", "set"), help="demand this of Don't Fragment")
    parser.add_argument("--udp-checksum", choices=("computed", "zero"), help="demand this of the outer UDP checksum")
    parser.add_argument("--hops", type=int, default=0, metavar="N", help="OUTSIDE was taken behind N routers")
    parser.add_argument("--filter-inside", metavar="BPF", help="look only at these frames of INSIDE")
    parser.add_argument("--filter-outside", metavar="BPF", help="look only at these frames of OUTSIDE")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    encap = encapsulation(args.profile)
    inside, outside = load(args.inside), load(args.outside)
    if args.filter_inside:
        inside = inside.filter(args.filter_inside)
    if args.filter_outside:
        outside = outside.filter(args.filter_outside)
    checksum = None if args.udp_checksum is None else args.udp_checksum == "computed"
    proof = prove(
        inside, outside, encap, vni=args.vni, port=args.port, src=args.src, dst=args.dst, ttl=args.ttl, df=args.df,
        udp_checksum=checksum, hops=args.hops,
    )
    print(json.dumps(proof.to_dict(), indent=2) if args.json else proof)
    return 0 if proof.proved else 1
