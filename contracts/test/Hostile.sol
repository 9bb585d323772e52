// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Contracts that a dishonest publisher might name as a verifier. The chain must survive each of them, and a client must
// refuse each of them, because none has the code that its model's verifying key demands.

/// Says yes to everything: only the code hash can tell.
contract SaysYes {
    function verify(bytes32, bytes32, bytes calldata) external pure returns (bool) {
        return true;
    }
}

/// Loops until nothing is left.
contract BurnsGas {
    function verify(bytes32, bytes32, bytes calldata) external pure returns (bool) {
        uint256 spins;
        while (true) {
            unchecked {
                ++spins;
            }
        }
        return spins > 0;
    }
}

/// Reverts, with a megabyte of reason if gas allows.
contract Reverts {
    function verify(bytes32, bytes32, bytes calldata) external pure returns (bool) {
        assembly {
            revert(0, 0x100000)
        }
    }
}

/// Answers with 1 MB, whose first word is true.
contract ReturnsMegabyte {
    function verify(bytes32, bytes32, bytes calldata) external pure returns (bool) {
        assembly {
            mstore(0, 1)
            return(0, 0x100000)
        }
    }
}

/// Answers with 32 bytes that are no bool.
contract ReturnsGarbage {
    function verify(bytes32, bytes32, bytes calldata) external pure returns (bool) {
        assembly {
            mstore(0, 0x1337)
            return(0, 0x20)
        }
    }
}

/// Answers with fewer bytes than a word.
contract ReturnsShort {
    function verify(bytes32, bytes32, bytes calldata) external pure returns (bool) {
        assembly {
            mstore8(0, 1)
            return(0, 1)
        }
    }
}

/// Answers nothing at all.
contract ReturnsNothing {
    function verify(bytes32, bytes32, bytes calldata) external pure {}
}

/// Counts its calls in storage: its yes must not leave a trace, because the chain rolls a verdict's writes back.
contract WritesState {
    uint256 public calls;

    function verify(bytes32, bytes32, bytes calldata) external returns (bool) {
        ++calls;
        return true;
    }
}

/// Calls itself and then whatever `target` names (an account, a precompile that dispatches calls) before it says yes.
contract Reenters {
    address public immutable target;
    bytes public payload;

    constructor(address target_, bytes memory payload_) {
        target = target_;
        payload = payload_;
    }

    function verify(bytes32 inputCommitment, bytes32 outputCommitment, bytes calldata proof) external returns (bool) {
        if (msg.sender != address(this)) {
            this.verify(inputCommitment, outputCommitment, proof);
            (bool done,) = target.call(payload);
            done;
        }
        return true;
    }
}

/// Deletes itself when the compiler and chain still let it, after saying yes.
contract Destructs {
    function verify(bytes32, bytes32, bytes calldata) external returns (bool) {
        assembly {
            mstore(0, 1)
            selfdestruct(caller())
        }
    }
}
