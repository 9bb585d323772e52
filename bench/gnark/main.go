// The peer of `make bench`: an integer program's inputs, sums and roundings as a gnark circuit, proved with
// gnark's Groth16. It has no commitments, hence fewer rows than ours.
//
// One JSON object a line on standard input: first {"program": ...}, answered with the rows and the seconds of
// the setup; then {"record": [...], "outputs": [...]} for each proof, answered with its seconds, the witness
// included, and whether it verifies.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"math/big"
	"os"
	"time"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/logger"
)

// Step is one wire or more: a linear row, or a rounding of a wire.
type Step struct {
	// Kind is linear, constant, identity, shift or relu.
	Kind string `json:"kind"`
	// Bias and Terms (wire, coefficient) of a linear row; Bias is a constant's value and a shift's lowest one.
	Bias  int64      `json:"bias"`
	Terms [][2]int64 `json:"terms"`
	// Wire is what a rounding reads, Shift by how much, Bits the width of its decomposition.
	Wire  int  `json:"wire"`
	Shift uint `json:"shift"`
	Bits  int  `json:"bits"`
}

// Program is what is proved of one record.
type Program struct {
	// Inputs are (lowest value, bits).
	Inputs  [][2]int64 `json:"inputs"`
	Steps   []Step     `json:"steps"`
	Outputs []int      `json:"outputs"`
}

// Circuit proves that Y is what the program makes of X.
type Circuit struct {
	X []frontend.Variable
	Y []frontend.Variable `gnark:",public"`

	program *Program
}

// Define walks the program.
func (c *Circuit) Define(api frontend.API) error {
	var wires []frontend.Variable
	for i, input := range c.program.Inputs {
		api.ToBinary(api.Sub(c.X[i], input[0]), int(input[1]))
		wires = append(wires, c.X[i])
	}
	for _, step := range c.program.Steps {
		wires = append(wires, walk(api, step, wires))
	}
	for i, wire := range c.program.Outputs {
		api.AssertIsEqual(c.Y[i], wires[wire])
	}
	return nil
}

func walk(api frontend.API, step Step, wires []frontend.Variable) frontend.Variable {
	half := int64(0)
	if step.Shift > 0 {
		half = 1 << (step.Shift - 1)
	}
	switch step.Kind {
	case "linear":
		var sum frontend.Variable = step.Bias
		terms := make([]frontend.Variable, len(step.Terms))
		for i, term := range step.Terms {
			terms[i] = api.Mul(wires[term[0]], term[1])
		}
		switch len(terms) {
		case 0:
			return sum
		case 1:
			return api.Add(sum, terms[0])
		}
		return api.Add(sum, terms[0], terms[1:]...)
	case "constant":
		return step.Bias
	case "identity":
		return wires[step.Wire]
	case "shift":
		bits := decomposed(api, wires[step.Wire], half-(step.Bias<<step.Shift), step.Bits)
		return api.Add(step.Bias, api.FromBinary(bits[step.Shift:]...))
	case "relu":
		k := step.Bits - 1
		bits := decomposed(api, wires[step.Wire], half+(1<<k), step.Bits)
		quotient := wires[step.Wire]
		if step.Shift > 0 {
			quotient = api.FromBinary(bits[step.Shift:k]...)
		}
		return api.Mul(bits[k], quotient)
	}
	log.Fatalf("there is no step %q", step.Kind)
	return nil
}

func decomposed(api frontend.API, x frontend.Variable, offset int64, bits int) []frontend.Variable {
	return api.ToBinary(api.Add(x, offset), bits)
}

func values(given []int64) []frontend.Variable {
	found := make([]frontend.Variable, len(given))
	for i, value := range given {
		found[i] = big.NewInt(value)
	}
	return found
}

func main() {
	logger.Disable()
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	var given struct {
		Program Program `json:"program"`
	}
	read(lines, &given)
	empty := &Circuit{
		X:       make([]frontend.Variable, len(given.Program.Inputs)),
		Y:       make([]frontend.Variable, len(given.Program.Outputs)),
		program: &given.Program,
	}
	field := ecc.BN254.ScalarField()
	system, err := frontend.Compile(field, r1cs.NewBuilder, empty)
	check(err)
	started := time.Now()
	provingKey, verifyingKey, err := groth16.Setup(system)
	check(err)
	check(answers.Encode(map[string]any{
		"rows": system.GetNbConstraints(), "setup_s": time.Since(started).Seconds(),
	}))
	for {
		var asked struct {
			Record  []int64 `json:"record"`
			Outputs []int64 `json:"outputs"`
		}
		if !read(lines, &asked) {
			return
		}
		started := time.Now()
		assigned := &Circuit{X: values(asked.Record), Y: values(asked.Outputs)}
		witness, err := frontend.NewWitness(assigned, field)
		check(err)
		proof, err := groth16.Prove(system, provingKey, witness)
		check(err)
		seconds := time.Since(started).Seconds()
		public, err := witness.Public()
		check(err)
		valid := groth16.Verify(proof, verifyingKey, public) == nil
		check(answers.Encode(map[string]any{"prove_s": seconds, "valid": valid}))
	}
}

func read(lines *bufio.Reader, into any) bool {
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return false
	}
	check(json.Unmarshal(line, into))
	return true
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
