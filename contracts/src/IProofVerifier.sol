// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the chain asks of a model's verifier, whatever the proving lane.
interface IProofVerifier {
    /// @notice Whether `proof` shows that this contract's model leads from the committed input to the committed output.
    /// @dev Answers false for any proof that does not, malformed ones included; never writes, never reverts on a proof.
    function verify(bytes32 inputCommitment, bytes32 outputCommitment, bytes calldata proof)
        external
        view
        returns (bool);
}
