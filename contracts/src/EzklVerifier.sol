// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofVerifier} from "./IProofVerifier.sol";
import {Halo2Verifier} from "./Halo2Verifier.sol";
import {PROOF_LENGTH, SCALARS_START, SCALARS_END, OUTPUT_POINT} from "./Layout.sol";

/// @title The ezkl lane's verifier: the generated Halo2Verifier behind typed arguments.
/// @notice Halo2Verifier.sol is generated from the verifying key and Layout.sol from it, so this contract's code hash
///         pins the model. The first committed tensor is the input, the one at OUTPUT_POINT the output; a commitment is
///         keccak256 of the point as it stands in the proof (x, y, big-endian).
contract EzklVerifier is IProofVerifier, Halo2Verifier {
    /// @dev BN254: the base field (coordinates) and the scalar field (evaluations), EIP-196.
    uint256 private constant BASE = 21888242871839275222246405745257275088696311157297823662689037894645226208583;
    uint256 private constant SCALAR = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// @inheritdoc IProofVerifier
    function verify(bytes32 inputCommitment, bytes32 outputCommitment, bytes calldata proof)
        external
        view
        returns (bool)
    {
        if (proof.length != PROOF_LENGTH) return false;
        if (keccak256(proof[:64]) != inputCommitment) return false;
        if (keccak256(proof[OUTPUT_POINT:OUTPUT_POINT + 64]) != outputCommitment) return false;
        if (!_below(proof[:SCALARS_START], BASE)) return false;
        if (!_below(proof[SCALARS_START:SCALARS_END], SCALAR)) return false;
        if (!_below(proof[SCALARS_END:], BASE)) return false;
        // A call of our own making: the generated code reads calldata at fixed offsets, ignores what follows, and
        // uses memory as it likes. When it reverts or runs out of gas, 1/64 is left here to answer with.
        (bool done, bytes memory answer) =
            address(this).staticcall(abi.encodeCall(this.verifyProof, (proof, new uint256[](0))));
        return done && answer.length == 32 && bytes32(answer) == bytes32(uint256(1));
    }

    /// @dev Whether every 32-byte word is a canonical element of the field of order `modulus`.
    function _below(bytes calldata words, uint256 modulus) private pure returns (bool below) {
        assembly ("memory-safe") {
            below := 1
            let end := add(words.offset, words.length)
            for { let at := words.offset } lt(at, end) { at := add(at, 0x20) } {
                below := and(below, lt(calldataload(at), modulus))
            }
        }
    }
}
