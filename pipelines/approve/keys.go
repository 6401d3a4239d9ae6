package approve

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/config"
)

// Approver is a person in a role, by one key.
type Approver struct {
	Name string
	Role string
	Key  attest.PublicKey
}

// Recorder is somebody whose records of promotions are trusted.
type Recorder struct {
	Name string
	Key  attest.PublicKey
}

// Keyring is whose signatures count, and for what.
type Keyring struct {
	Approvers []Approver
	Recorders []Recorder
}

// LoadKeys reads the keys that the configuration names. read gives a file of the project.
func LoadKeys(c *config.Config, read func(name string) ([]byte, error)) (Keyring, error) {
	var ring Keyring
	owner := map[string]string{} // by the key's ID
	for i, a := range c.Approvers {
		at := []string{"approvers", fmt.Sprint(i), "key"}
		key, err := loadKey(c, at, a.Key, read)
		if err != nil {
			return Keyring{}, err
		}
		// One key for two people would let one person pass for both.
		if other, taken := owner[key.ID]; taken && other != a.Name {
			return Keyring{}, c.Fault(at, "let each person have a key of their own",
				"the key of %s is that of %s as well", a.Name, other)
		}
		owner[key.ID] = a.Name
		ring.Approvers = append(ring.Approvers, Approver{Name: a.Name, Role: a.Role, Key: key})
		ring.Recorders = append(ring.Recorders, Recorder{Name: a.Name, Key: key})
	}
	for i, r := range c.Recorders {
		key, err := loadKey(c, []string{"recorders", fmt.Sprint(i), "key"}, r.Key, read)
		if err != nil {
			return Keyring{}, err
		}
		ring.Recorders = append(ring.Recorders, Recorder{Name: r.Name, Key: key})
	}
	return ring, nil
}

func loadKey(
	c *config.Config, at []string, name string, read func(string) ([]byte, error),
) (attest.PublicKey, error) {
	data, err := read(name)
	if err != nil {
		return attest.PublicKey{}, c.Fault(at, "put the public key there: berth key generate, or cosign generate-key-pair",
			"cannot read the public key: %w", err)
	}
	key, err := attest.ParsePublicKey(data)
	if err != nil {
		next := "write the public key as PEM, ECDSA on P-256 or Ed25519, as `berth key generate` does"
		if strings.Contains(string(data), "PRIVATE KEY") {
			next = "that is a private key: take it out of the repository, make a new pair, and name the public half"
		}
		return attest.PublicKey{}, c.Fault(at, next, "%s: %w", name, err)
	}
	return key, nil
}

// ApproverOf tells whose key has signed a document that speaks in a role, and whether that key is listed for the role.
// The name is "" when no approver's key has.
func (r Keyring) ApproverOf(ctx context.Context, d attest.Document, role string) (name string, inRole bool) {
	if key, err := d.SignedBy(ctx, r.keys(func(a Approver) bool { return a.Role == role })...); err == nil {
		return r.owner(key), true
	}
	if key, err := d.SignedBy(ctx, r.keys(func(Approver) bool { return true })...); err == nil {
		return r.owner(key), false
	}
	return "", false
}

// RecorderOf tells whose key has signed a record; "" when no recorder's or approver's has.
func (r Keyring) RecorderOf(ctx context.Context, d attest.Document) string {
	for _, one := range r.Recorders {
		if _, err := d.SignedBy(ctx, one.Key); err == nil {
			return one.Name
		}
	}
	return ""
}

// keys are those of the approvers that fit.
func (r Keyring) keys(fits func(Approver) bool) []attest.PublicKey {
	var out []attest.PublicKey
	for _, a := range r.Approvers {
		if fits(a) {
			out = append(out, a.Key)
		}
	}
	return out
}

// owner is the name of the person to whom an approver's key belongs.
func (r Keyring) owner(key attest.PublicKey) string {
	i := slices.IndexFunc(r.Approvers, func(a Approver) bool { return a.Key.ID == key.ID })
	if i < 0 {
		return ""
	}
	return r.Approvers[i].Name
}

// RolesOf lists the name and the roles of a key, in the order of the configuration; "" for one that is not listed.
func (r Keyring) RolesOf(key attest.PublicKey) (name string, roles []string) {
	for _, a := range r.Approvers {
		if a.Key.ID == key.ID && !slices.Contains(roles, a.Role) {
			name, roles = a.Name, append(roles, a.Role)
		}
	}
	return name, roles
}

// People lists who has a role, in the order of the configuration.
func (r Keyring) People(role string) []string {
	var out []string
	for _, a := range r.Approvers {
		if a.Role == role && !slices.Contains(out, a.Name) {
			out = append(out, a.Name)
		}
	}
	return out
}
