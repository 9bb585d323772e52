// Verifies one TDX quote with Google's go-tdx-guest: JSON on standard input, one line of JSON on standard output.
//
// In: {"quote": hex, "collateral": dcap-qvl's JSON or null, "root": PEM or null (Intel's own), "now": seconds}.
// Out: {"error": ""} or the library's refusal.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/go-tdx-guest/abi"
	"github.com/google/go-tdx-guest/verify"
)

type question struct {
	Quote      string
	Collateral map[string]string
	Root       *string
	Now        int64
}

// pcs answers as Intel's Provisioning Certification Service would, from one collateral.
type pcs map[string]string

func (c pcs) chain(name string) string { return url.QueryEscape(c[name]) }

func (c pcs) Get(address string) (map[string][]string, []byte, error) {
	signed := func(header, chain, field, body string) (map[string][]string, []byte, error) {
		text := fmt.Sprintf(`{%q:%s,"signature":%q}`, field, c[body], c[body+"_signature"])
		return map[string][]string{header: {c.chain(chain)}}, []byte(text), nil
	}
	list := func(name string) ([]byte, error) { return hex.DecodeString(c[name]) }
	switch {
	case strings.Contains(address, "/tcb?"):
		return signed("Tcb-Info-Issuer-Chain", "tcb_info_issuer_chain", "tcbInfo", "tcb_info")
	case strings.Contains(address, "/qe/identity"):
		return signed("Sgx-Enclave-Identity-Issuer-Chain", "qe_identity_issuer_chain", "enclaveIdentity", "qe_identity")
	case strings.Contains(address, "/pckcrl?"):
		body, err := list("pck_crl")
		return map[string][]string{"Sgx-Pck-Crl-Issuer-Chain": {c.chain("pck_crl_issuer_chain")}}, body, err
	default:
		body, err := list("root_ca_crl")
		return nil, body, err
	}
}

func verified(asked question) error {
	raw, err := hex.DecodeString(asked.Quote)
	if err != nil {
		return err
	}
	quote, err := abi.QuoteToProto(raw)
	if err != nil {
		return err
	}
	options := verify.DefaultOptions()
	options.Now = time.Unix(asked.Now, 0)
	if asked.Collateral != nil {
		options.GetCollateral, options.CheckRevocations = true, true
		options.Getter = pcs(asked.Collateral)
	}
	if asked.Root != nil {
		options.TrustedRoots = x509.NewCertPool()
		if !options.TrustedRoots.AppendCertsFromPEM([]byte(*asked.Root)) {
			return fmt.Errorf("the root is no PEM")
		}
	}
	return verify.TdxQuote(quote, options)
}

func main() {
	decoder := json.NewDecoder(os.Stdin)
	encoder := json.NewEncoder(os.Stdout)
	for decoder.More() {
		var asked question
		if err := decoder.Decode(&asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		var said bytes.Buffer
		if err := verified(asked); err != nil {
			said.WriteString(err.Error())
		}
		if err := encoder.Encode(map[string]string{"error": said.String()}); err != nil {
			os.Exit(2)
		}
	}
}
