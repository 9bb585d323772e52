// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILaneVerifier} from "./ILaneVerifier.sol";

/// @title The groth16 lane's verifier: stateless, ownerless, the verifying key an argument.
/// @notice Words are 32 bytes, big-endian, G2 with the imaginary part first (EIP-197).
///
///         key (640 bytes):   alpha.x alpha.y  beta.x1 .x0 .y1 .y0  gamma (4)  delta (4)  IC0.x .y  IC1.x .y  IC2.x .y
///         proof (256 bytes): A.x A.y  B.x1 .x0 .y1 .y0  C.x C.y
///
///         Every coordinate must be below the base field's order and no point may be infinity; that G1 points lie on
///         their curve, and G2 points in their subgroup, the precompiles check. The public inputs are the two
///         commitments, below the scalar field's order. So a proof, a key and an input each have one encoding.
///
///         One proof (Groth 2016): e(-A, B) e(alpha, beta) e(I, gamma) e(C, delta) = 1
///         with I = IC0 + inputCommitment * IC1 + outputCommitment * IC2.
///
///         Many: the product of those equations, the i-th to the power of w[i], with every e(., beta), e(., gamma) and
///         e(., delta) gathered into one. w[i] is the low 128 bits of keccak256(seed, i) and seed is keccak256 of the
///         whole calldata. Why that is enough: the left sides are elements E[i] of a group of prime order r, and the
///         calldata determines them. If some E[j] is not 1, then whatever the other weights are, at most one residue
///         of w[j] mod r makes the product 1; as w[j] is one of 2^128 values and 2^128 < r, calldata passes wrongly
///         with probability 2^-128 at most, keccak256 taken for a random function. Changing anything, the order of
///         the proofs or one bit of a commitment included, draws every weight anew, so an attacker has one such chance
///         for each hash that it computes, and cannot solve for two faults that cancel.
///
///         A proof is no identifier: from (A, B, C) anybody makes (zA, B/z, C) and others for the same statement. What
///         is shown is that somebody knew the input and output behind these commitments; not who, nor how often.
contract Groth16Verifier is ILaneVerifier {
    /// @dev BN254, EIP-196: the base field and the scalar field.
    uint256 private constant BASE = 21888242871839275222246405745257275088696311157297823662689037894645226208583;
    uint256 private constant SCALAR = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 private constant WEIGHT = type(uint128).max;

    uint256 private constant KEY_LENGTH = 640;
    uint256 private constant PROOF_LENGTH = 256;
    uint256 private constant MOST_PROOFS = 64;
    /// @dev Where the key stands in calldata, behind selector, four words of head and its own length.
    uint256 private constant KEY_AT = 4 + 4 * 32 + 32;
    /// @dev Where a key's points begin.
    uint256 private constant BETA = 64;
    uint256 private constant GAMMA = 192;
    uint256 private constant DELTA = 320;
    uint256 private constant IC = 448;
    /// @dev Bytes of a point of G1, and of a pairing's operands: a point of G1 and one of G2.
    uint256 private constant G1 = 64;
    uint256 private constant PAIR = 192;

    /// @notice The calldata is not what an ABI encoder makes of these arguments: an offset elsewhere, bytes to spare.
    error NotCanonical();
    /// @notice There is nothing to verify: no answer would be true.
    error NoProofs();
    /// @notice More proofs than one call takes.
    error TooManyProofs(uint256 found, uint256 most);
    /// @notice Inputs, outputs and proofs are not of one number.
    error UnequalLengths(uint256 inputs, uint256 outputs, uint256 proofs);

    /// @dev What is gathered from the proofs: their own pairs, in memory at `pairs` with room for the key's three; the
    ///      sums of weights, weighted inputs and weighted outputs, mod SCALAR; the accumulator of the weighted C.
    struct Sums {
        uint256 pairs;
        uint256 count;
        uint256 weight;
        uint256 input;
        uint256 output;
        uint256 c;
    }

    /// @inheritdoc ILaneVerifier
    function wellFormed(bytes calldata key) external view returns (bool) {
        if (key.length != KEY_LENGTH) return false;
        uint256 keyAt = 4 + 2 * 32;
        _require(_at(key) == keyAt && msg.data.length == keyAt + KEY_LENGTH);
        if (!_isKey(keyAt)) return false;
        // The precompiles fail on what is no point of theirs. What they answer is nothing to us; that they do, all.
        uint256 sum = _accumulator();
        uint256 pairs = _allocate(3 * PAIR);
        for (uint256 i = 0; i < 3; ++i) {
            if (!_add(sum, keyAt + IC + G1 * i, 1)) return false;
            _copy(pairs + PAIR * i, keyAt, G1);
            _copy(pairs + PAIR * i + G1, keyAt + BETA + 128 * i, 128);
        }
        (bool done,) = _pairing(pairs, 3);
        return done;
    }

    /// @inheritdoc ILaneVerifier
    function verify(bytes calldata key, bytes32 inputCommitment, bytes32 outputCommitment, bytes calldata proof)
        external
        view
        returns (bool)
    {
        if (key.length != KEY_LENGTH || proof.length != PROOF_LENGTH) return false;
        uint256 proofAt = KEY_AT + KEY_LENGTH + 32;
        _require(_at(key) == KEY_AT && _at(proof) == proofAt && msg.data.length == proofAt + PROOF_LENGTH);

        Sums memory sums = _sums(1);
        return _gather(sums, uint256(inputCommitment), uint256(outputCommitment), proofAt, 1) && _hold(sums);
    }

    /// @inheritdoc ILaneVerifier
    function verifyMany(
        bytes calldata key,
        bytes32[] calldata inputCommitments,
        bytes32[] calldata outputCommitments,
        bytes[] calldata proofs
    ) external view returns (bool) {
        uint256 count = proofs.length;
        if (count == 0) revert NoProofs();
        if (count > MOST_PROOFS) revert TooManyProofs(count, MOST_PROOFS);
        if (inputCommitments.length != count || outputCommitments.length != count) {
            revert UnequalLengths(inputCommitments.length, outputCommitments.length, count);
        }
        if (key.length != KEY_LENGTH) return false;
        uint256 inputs = KEY_AT + KEY_LENGTH + 32;
        uint256 outputs = inputs + 32 * count + 32;
        uint256 items = outputs + 32 * count + 32;
        _require(_at(key) == KEY_AT && _at(inputCommitments) == inputs && _at(outputCommitments) == outputs);
        _require(_at(proofs) == items);
        uint256 proofAt = items + 32 * count + 32;
        for (uint256 i = 0; i < count; ++i) {
            if (proofs[i].length != PROOF_LENGTH) return false;
            _require(_at(proofs[i]) == proofAt + (PROOF_LENGTH + 32) * i);
        }
        _require(msg.data.length == items + (32 + 32 + PROOF_LENGTH) * count);

        Sums memory sums = _sums(count);
        bytes32 seed = keccak256(msg.data);
        for (uint256 i = 0; i < count; ++i) {
            uint256 weight = uint256(keccak256(abi.encode(seed, i))) & WEIGHT;
            if (!_gather(sums, _word(inputs + 32 * i), _word(outputs + 32 * i), proofAt, weight)) return false;
            proofAt += PROOF_LENGTH + 32;
        }
        return _hold(sums);
    }

    // ---- the equation ----------------------------------------------------------------------------

    /// @dev Takes one proof, in calldata at `proofAt`, into the sums. False when it or a commitment is not canonical,
    ///      or one of its points of G1 is not on the curve.
    function _gather(Sums memory sums, uint256 input, uint256 output, uint256 proofAt, uint256 weight)
        private
        view
        returns (bool)
    {
        if (input >= SCALAR || output >= SCALAR) return false;
        unchecked {
            if (!(_isG1(proofAt) && _isG2(proofAt + G1) && _isG1(proofAt + PAIR))) return false;
            sums.weight += weight;
            sums.input = addmod(sums.input, mulmod(weight, input, SCALAR), SCALAR);
            sums.output = addmod(sums.output, mulmod(weight, output, SCALAR), SCALAR);
            uint256 pair = sums.pairs + PAIR * sums.count++;
            _copy(pair, proofAt, PAIR);
            _negate(pair);
            // The weight stands for a moment where B belongs.
            if (!_scale(pair, weight)) return false;
            _copy(pair + G1, proofAt + G1, 128);
            return _add(sums.c, proofAt + PAIR, weight);
        }
    }

    /// @dev Whether the equation of what was gathered holds under the key in calldata.
    function _hold(Sums memory sums) private view returns (bool) {
        if (!_isKey(KEY_AT)) return false;
        unchecked {
            uint256 alpha = sums.pairs + PAIR * sums.count;
            uint256 sum = _accumulator();
            _copy(alpha, KEY_AT, G1);
            bool good = _scale(alpha, sums.weight) && _add(sum, KEY_AT + IC, sums.weight)
                && _add(sum, KEY_AT + IC + G1, sums.input) && _add(sum, KEY_AT + IC + 2 * G1, sums.output);
            // Nothing known to be bad reaches the pairing: there, it would take all the gas that is left.
            if (!good) return false;
            _copy(alpha + G1, KEY_AT + BETA, 128);
            _move(alpha + PAIR, sum);
            _copy(alpha + PAIR + G1, KEY_AT + GAMMA, 128);
            _move(alpha + 2 * PAIR, sums.c);
            _copy(alpha + 2 * PAIR + G1, KEY_AT + DELTA, 128);
            (bool done, bool one) = _pairing(sums.pairs, sums.count + 3);
            return done && one;
        }
    }

    // ---- what calldata may be --------------------------------------------------------------------

    function _require(bool canonical) private pure {
        if (!canonical) revert NotCanonical();
    }

    function _isKey(uint256 at) private pure returns (bool) {
        unchecked {
            return _isG1(at) && _isG2(at + BETA) && _isG2(at + GAMMA) && _isG2(at + DELTA) && _isG1(at + IC)
                && _isG1(at + IC + G1) && _isG1(at + IC + 2 * G1);
        }
    }

    /// @dev Whether coordinates are below the modulus and not those of infinity: with no element of order 2 in the
    ///      group, y is 0 there alone. Whether they are a point's at all, the precompiles see.
    function _isG1(uint256 at) private pure returns (bool good) {
        assembly ("memory-safe") {
            let y := calldataload(add(at, 32))
            good := and(and(lt(calldataload(at), BASE), lt(y, BASE)), gt(y, 0))
        }
    }

    function _isG2(uint256 at) private pure returns (bool good) {
        assembly ("memory-safe") {
            let y1 := calldataload(add(at, 64))
            let y0 := calldataload(add(at, 96))
            good := and(lt(calldataload(at), BASE), lt(calldataload(add(at, 32)), BASE))
            good := and(good, and(lt(y1, BASE), lt(y0, BASE)))
            good := and(good, gt(or(y1, y0), 0))
        }
    }

    function _word(uint256 at) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(at)
        }
    }

    function _at(bytes calldata data) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := data.offset
        }
    }

    function _at(bytes32[] calldata words) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := words.offset
        }
    }

    function _at(bytes[] calldata items) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := items.offset
        }
    }

    // ---- memory and precompiles ------------------------------------------------------------------

    function _sums(uint256 count) private pure returns (Sums memory sums) {
        sums.pairs = _allocate(PAIR * (count + 3));
        sums.c = _accumulator();
    }

    /// @dev A sum of points, at first infinity, and behind it room for a point and a scalar.
    function _accumulator() private pure returns (uint256 at) {
        at = _allocate(2 * G1 + 32);
        assembly ("memory-safe") {
            mstore(at, 0)
            mstore(add(at, 32), 0)
        }
    }

    function _allocate(uint256 size) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := mload(0x40)
            mstore(0x40, add(at, size))
        }
    }

    function _copy(uint256 to, uint256 from, uint256 size) private pure {
        assembly ("memory-safe") {
            calldatacopy(to, from, size)
        }
    }

    function _move(uint256 to, uint256 from) private pure {
        assembly ("memory-safe") {
            mcopy(to, from, 64)
        }
    }

    /// @dev Minus the point of G1 in memory, which is canonical.
    function _negate(uint256 point) private pure {
        assembly ("memory-safe") {
            let y := add(point, 32)
            mstore(y, sub(BASE, mload(y)))
        }
    }

    /// @dev Adds `scalar` times the point in calldata to an accumulator. False when that is no point of G1.
    function _add(uint256 sum, uint256 pointAt, uint256 scalar) private view returns (bool good) {
        unchecked {
            _copy(sum + G1, pointAt, G1);
            good = _scale(sum + G1, scalar);
        }
        assembly ("memory-safe") {
            good := and(good, staticcall(gas(), 6, sum, 128, sum, 64))
        }
    }

    /// @dev Multiplies the point in memory by `scalar`, using the word behind it. False when it is no point of G1;
    ///      times one it is left as it is, for the next precompile to judge.
    function _scale(uint256 point, uint256 scalar) private view returns (bool good) {
        if (scalar == 1) return true;
        assembly ("memory-safe") {
            mstore(add(point, 64), scalar)
            good := staticcall(gas(), 7, point, 96, point, 64)
        }
    }

    /// @dev Whether the pairs are points of G1 and G2, and whether their product is one. Overwrites the first word.
    function _pairing(uint256 pairs, uint256 count) private view returns (bool done, bool one) {
        assembly ("memory-safe") {
            done := staticcall(gas(), 8, pairs, mul(count, PAIR), pairs, 32)
            done := and(done, eq(returndatasize(), 32))
            one := eq(mload(pairs), 1)
        }
    }
}
