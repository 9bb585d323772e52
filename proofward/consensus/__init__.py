"""What a chain with GRANDPA proves of itself to a reader who trusts none of its nodes: final headers, and
state under their roots. Everything here is computed from bytes; nothing is fetched.
"""

from proofward.consensus.authorities import Authorities, Change, follow, genesis_authorities
from proofward.consensus.checkpoint import Checkpoint, checkpoint_of, spec_checkpoint
from proofward.consensus.errors import BadProof
from proofward.consensus.final import OlderThanCheckpoint, final_state, nodes_of
from proofward.consensus.grandpa import check_justification
from proofward.consensus.header import Header, decode_header
from proofward.consensus.keys import map_key, value_key
from proofward.consensus.registered import Registered
from proofward.consensus.trie import StorageProof

__all__ = [
    "Authorities",
    "BadProof",
    "Change",
    "Checkpoint",
    "Header",
    "OlderThanCheckpoint",
    "Registered",
    "StorageProof",
    "check_justification",
    "checkpoint_of",
    "decode_header",
    "final_state",
    "follow",
    "genesis_authorities",
    "map_key",
    "nodes_of",
    "spec_checkpoint",
    "value_key",
]
