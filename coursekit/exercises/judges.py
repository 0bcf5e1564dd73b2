"""The judges by the name that data/exercises/*.toml uses."""

from __future__ import annotations

from collections.abc import Mapping

from coursekit.exercises.bpf_filter import BpfFilter
from coursekit.exercises.chain import Chain
from coursekit.exercises.checksum_verdict import ChecksumVerdict
from coursekit.exercises.fdb_row import FdbRow
from coursekit.exercises.forged_field import ForgedField
from coursekit.exercises.judge import Judge
from coursekit.exercises.pod_mtu import PodMtu
from coursekit.exercises.silent_faults import SilentFaults
from coursekit.exercises.vni import Vni

JUDGES: Mapping[str, Judge] = {
    "chain": Chain(), "vni": Vni(), "forged-field": ForgedField(), "checksum-verdict": ChecksumVerdict(),
    "pod-mtu": PodMtu(), "bpf-filter": BpfFilter(), "silent-faults": SilentFaults(), "fdb-row": FdbRow(),
}  # fmt: skip
