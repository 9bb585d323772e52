// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the chain asks of a proving lane's verifier: one contract for every model of the lane.
/// @notice A model is its verifying key, and the key is an argument: the contract has no state, no owner and no
///         constructor, so whoever knows its code hash knows all of it.
/// @dev Every function answers false to data that does not hold, however malformed it is. A call that asks nothing
///      reverts: no proofs, too many, arrays of unequal length, calldata other than the canonical ABI encoding.
interface ILaneVerifier {
    /// @notice Whether `key` is a verifying key of this lane: its length, its points. Whose key it is, and of which
    ///         circuit, no contract can know.
    function wellFormed(bytes calldata key) external view returns (bool);

    /// @notice Whether `proof` shows that the model of `key` leads from the committed input to the committed output.
    function verify(bytes calldata key, bytes32 inputCommitment, bytes32 outputCommitment, bytes calldata proof)
        external
        view
        returns (bool);

    /// @notice Whether every one of several proofs under one key holds; does not say which one does not.
    function verifyMany(
        bytes calldata key,
        bytes32[] calldata inputCommitments,
        bytes32[] calldata outputCommitments,
        bytes[] calldata proofs
    ) external view returns (bool);
}
