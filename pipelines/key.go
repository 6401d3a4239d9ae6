package pipelines

import (
	"errors"
	"slices"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Signer opens a private key. subject names where it came from, for messages; password is asked only for a key that is
// encrypted.
func Signer(subject string, pem []byte, password attest.Password) (*attest.Signer, error) {
	signer, err := attest.ParsePrivateKey(pem, password)
	switch {
	case err == nil:
		return signer, nil
	case errors.Is(err, attest.ErrPassword):
		return nil, fault.New(fault.Credentials, subject, "set BERTH_KEY_PASSWORD (or COSIGN_PASSWORD) to the key's password",
			"%w", err)
	case errors.Is(err, attest.ErrNoKey):
		return nil, fault.New(fault.Usage, subject,
			"name a private key that `berth key generate` or `cosign generate-key-pair` wrote, or one in PEM", "%w", err)
	default:
		return nil, err
	}
}

// maySign refuses a promotion whose records would not be signed as the environment wants them, and a key that nobody
// would believe later.
func (p *Pipeline) maySign(r PromoteRequest) error {
	e := p.Config.Environments[r.To]
	switch {
	case r.Signer == nil && e.Promote != nil && e.Promote.Signed:
		return fault.New(fault.Refused, "environment "+r.To,
			"name the key of a recorder: --key FILE, or --key env://VARIABLE", "it wants the records of promotions to be signed")
	case r.Signer == nil:
		return nil
	}
	keys, err := p.keyring()
	if err != nil {
		return err
	}
	id := r.Signer.PublicKey().ID
	if !slices.ContainsFunc(keys.Recorders, func(x approve.Recorder) bool { return x.Key.ID == id }) {
		return fault.New(fault.Refused, "key "+id, "list its public half under recorders in berth.yaml",
			"it is the key of no recorder or approver, so that nobody would believe its records")
	}
	return nil
}

// run is the run of a CI, nil outside of one.
func (p *Pipeline) run() *attest.Run {
	run, ok := facts.CurrentRun(p.options.Lookup)
	if !ok {
		return nil
	}
	return &attest.Run{System: run.System, Actor: run.Actor, URL: run.URL}
}

// fromCI are the approvals that the run's CI gives.
func (p *Pipeline) fromCI(keys approve.Keyring, run *attest.Run, r PromoteRequest) ([]attest.Evidence, error) {
	if len(r.CIApprovals) == 0 {
		return nil, nil
	}
	rules, err := approve.RulesFor(p.Config, keys, r.To)
	if err != nil {
		return nil, err
	}
	return rules.FromCI(run, r.CIApprovals)
}
