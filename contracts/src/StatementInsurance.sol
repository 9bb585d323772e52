// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILaneVerifier} from "./ILaneVerifier.sol";

/// @title The claim of a statement about one value, as its proof has it: the second public input.
/// @notice low and high are integers counted from the bottom of the value's range; `proofward statement show` prints
///         them with the claim. A statement about records of several values, or about several records, has a claim of
///         the same length that is a hash: `show` prints that too.
library StatementClaim {
    uint256 internal constant BITS = 48;
    uint256 internal constant MOST = 2 ** BITS - 1;

    /// @notice low <= value <= high.
    function within(uint256 low, uint256 high) internal pure returns (bytes32) {
        require(low <= high && high <= MOST, "no such range");
        return bytes32(low | (high << BITS) | (1 << (2 * BITS)));
    }

    /// @notice low <= value.
    function atLeast(uint256 low) internal pure returns (bytes32) {
        return within(low, MOST);
    }
}

/// @title An insurance that pays when a model's answer on an insured input makes a sentence true.
/// @notice Who insures names the model (its verifying key), the sentence (its claim) and the key of statements; they
///         cannot change. A policy is for one committed input: a patient's record, say, that a laboratory committed to
///         when the policy was written. The holder shows two proofs and nothing else: that the model leads from this
///         input to some committed output, and that the sentence is true of that output. What the record or the
///         output is, nobody learns; who sends the proofs does not matter, the holder is paid.
/// @dev Whoever made a key can forge proofs under it. The insurer, who pays, makes the key of statements; the model's
///      key should come from a ceremony, or the publisher could.
contract StatementInsurance {
    struct Policy {
        address payable holder;
        uint256 sum;
        uint64 until;
    }

    ILaneVerifier public immutable verifier;
    address payable public immutable insurer;
    bytes32 public immutable modelKeyHash;
    bytes32 public immutable statementKeyHash;
    bytes32 public immutable claim;
    mapping(bytes32 inputCommitment => Policy) public policies;

    event Insured(bytes32 indexed inputCommitment, address indexed holder, uint256 sum, uint64 until);
    event Paid(bytes32 indexed inputCommitment, address indexed holder, uint256 sum, bytes32 outputCommitment);
    event Lapsed(bytes32 indexed inputCommitment, uint256 sum);

    error NotTheInsurer();
    error NoSuchPolicy(bytes32 inputCommitment);
    error AlreadyInsured(bytes32 inputCommitment);
    error OtherKey();
    error NotProved(string what);
    error TooEarly(uint64 until);
    error TooLate(uint64 until);
    error NotPaid();
    error NothingInsured();

    /// @param modelKey the model's verifying key, 640 bytes. statementKey: that of the statements.
    /// @param claim_ the sentence: StatementClaim.atLeast and the like, or what `proofward statement show` prints.
    constructor(ILaneVerifier verifier_, bytes memory modelKey, bytes memory statementKey, bytes32 claim_) {
        if (!verifier_.wellFormed(modelKey) || !verifier_.wellFormed(statementKey)) revert OtherKey();
        verifier = verifier_;
        insurer = payable(msg.sender);
        modelKeyHash = keccak256(modelKey);
        statementKeyHash = keccak256(statementKey);
        claim = claim_;
    }

    /// @notice The claim of `low <= value <= high` about one value, for whoever checks what `claim` says.
    function within(uint256 low, uint256 high) external pure returns (bytes32) {
        return StatementClaim.within(low, high);
    }

    /// @notice Insure a committed input, with the sum that comes with the call, until a time (Unix seconds).
    function insure(bytes32 inputCommitment, address payable holder, uint64 until) external payable {
        if (msg.sender != insurer) revert NotTheInsurer();
        if (policies[inputCommitment].sum != 0) revert AlreadyInsured(inputCommitment);
        if (msg.value == 0 || holder == address(0) || until <= block.timestamp) revert NothingInsured();
        policies[inputCommitment] = Policy(holder, msg.value, until);
        emit Insured(inputCommitment, holder, msg.value, until);
    }

    /// @notice Pay a policy's holder, within its time: the model says so of the insured input.
    function pay(
        bytes32 inputCommitment,
        bytes32 outputCommitment,
        bytes calldata modelKey,
        bytes calldata modelProof,
        bytes calldata statementKey,
        bytes calldata statementProof
    ) external {
        Policy memory policy = policies[inputCommitment];
        if (policy.sum == 0) revert NoSuchPolicy(inputCommitment);
        if (block.timestamp > policy.until) revert TooLate(policy.until);
        if (keccak256(modelKey) != modelKeyHash || keccak256(statementKey) != statementKeyHash) revert OtherKey();
        if (!verifier.verify(modelKey, inputCommitment, outputCommitment, modelProof)) revert NotProved("the answer");
        if (!verifier.verify(statementKey, outputCommitment, claim, statementProof)) revert NotProved("the sentence");
        // Gone before it is paid: a holder that calls back finds nothing.
        delete policies[inputCommitment];
        emit Paid(inputCommitment, policy.holder, policy.sum, outputCommitment);
        (bool sent,) = policy.holder.call{value: policy.sum}("");
        if (!sent) revert NotPaid();
    }

    /// @notice Give the sum back to the insurer when a policy's time is over.
    function lapse(bytes32 inputCommitment) external {
        Policy memory policy = policies[inputCommitment];
        if (policy.sum == 0) revert NoSuchPolicy(inputCommitment);
        if (block.timestamp <= policy.until) revert TooEarly(policy.until);
        delete policies[inputCommitment];
        emit Lapsed(inputCommitment, policy.sum);
        (bool sent,) = insurer.call{value: policy.sum}("");
        if (!sent) revert NotPaid();
    }
}
