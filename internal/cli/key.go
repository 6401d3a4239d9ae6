package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
)

func keyCommand(a *app) *cobra.Command {
	var output string
	generate := &cobra.Command{
		Use:   "generate",
		Short: "Make a key pair for approvals and records",
		Long: `Make a key pair for approvals and records.

The private key is encrypted, in the format of cosign generate-key-pair, so that either program can use the
other's keys. Its password comes from BERTH_KEY_PASSWORD or COSIGN_PASSWORD, or is asked for on a terminal.
No file is replaced. Keep NAME.key to yourself, commit NAME.pub, and list it in berth.yaml.`,
		Example: `  berth key generate --output ada`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.generateKey(cmd.Context(), output)
		},
	}
	generate.Flags().StringVar(&output, "output", "berth", "name of the pair: NAME.key and NAME.pub are written")
	return group("key", "Make keys for approvals and records", generate)
}

// madeKey is the outcome. Its JSON form is a contract.
type madeKey struct {
	ID      string `json:"id"`
	Private string `json:"private"`
	Public  string `json:"public"`
}

func (a *app) generateKey(ctx context.Context, name string) error {
	made := madeKey{Private: a.path(name + ".key"), Public: a.path(name + ".pub")}
	for _, file := range []string{made.Private, made.Public} {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Usage, file, "name another pair with --output, or remove the old one if nobody needs it",
				"the file exists already")
		}
	}
	password, err := a.newPassword(ctx, made.Private)
	if err != nil {
		return err
	}
	pair, err := attest.GeneratePair(password)
	if err != nil {
		return err
	}
	key, err := attest.ParsePublicKey(pair.Public)
	if err != nil {
		return err
	}
	made.ID = key.ID
	if err := writeNew(made.Private, pair.Private, 0o600); err != nil {
		return err
	}
	if err := writeNew(made.Public, pair.Public, 0o644); err != nil {
		return errors.Join(err, os.Remove(made.Private))
	}
	return a.show(made, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "wrote %s (keep it to yourself, out of git) and %s (commit it)\nin berth.yaml:\n"+
			"approvers:\n  - {name: YOUR NAME, role: ROLE, key: %s}\n",
			made.Private, made.Public, filepath.ToSlash(name+".pub"))
		return err
	})
}

// writeNew writes a file that does not exist.
func writeNew(file string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fault.New(fault.Usage, file, "name a folder that exists and may be written", "cannot write it: %w", err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// fromEnvironment is the prefix of a key that stands in a variable, as cosign writes it.
const fromEnvironment = "env://"

// signer opens the key that --key names: a file, or a variable as env://NAME. "" is no key.
func (a *app) signer(ctx context.Context, name string) (*attest.Signer, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // no key is an answer: what is not signed has no signer
	}
	if variable, ok := strings.CutPrefix(name, fromEnvironment); ok {
		pem, ok := a.lookup(variable)
		if !ok || strings.TrimSpace(pem) == "" {
			return nil, fault.New(fault.Usage, "--key "+name, "set it to the private key in PEM",
				"the environment variable %s is not set", variable)
		}
		return pipelines.Signer("--key "+name, []byte(pem), a.keyPassword(ctx, "--key "+name))
	}
	pem, err := os.ReadFile(a.path(name))
	if err != nil {
		return nil, fault.New(fault.Usage, "--key "+name, "make one: berth key generate", "cannot read the key: %w", err)
	}
	return pipelines.Signer("--key "+name, pem, a.keyPassword(ctx, "--key "+name))
}

// keyPassword gives the password of a private key: from the environment, or from a person at a terminal.
func (a *app) keyPassword(ctx context.Context, subject string) attest.Password {
	return func() ([]byte, error) {
		if word, ok := a.passwordVariable(); ok {
			return word, nil
		}
		if _, ok := a.terminal(); !ok {
			return nil, fault.New(fault.Credentials, subject, "set BERTH_KEY_PASSWORD (or COSIGN_PASSWORD)",
				"the key has a password, and there is no terminal to ask for it")
		}
		return a.ask(ctx, "password of "+subject+": ")
	}
}

// newPassword is the password of a key that is made, asked for twice.
func (a *app) newPassword(ctx context.Context, file string) ([]byte, error) {
	if word, ok := a.passwordVariable(); ok {
		return word, nil
	}
	if _, ok := a.terminal(); !ok {
		return nil, fault.New(fault.Credentials, file, "set BERTH_KEY_PASSWORD; an empty one is a choice as well",
			"the key needs a password, and there is no terminal to ask for it")
	}
	first, err := a.ask(ctx, "password for "+file+" (empty for none): ")
	if err != nil {
		return nil, err
	}
	again, err := a.ask(ctx, "again: ")
	if err == nil && !bytes.Equal(first, again) {
		err = fault.New(fault.Usage, file, "run the same command again", "the two passwords differ")
	}
	return first, err
}

// passwordVariable reads the password from the environment. An empty one counts, as cosign has it.
func (a *app) passwordVariable() ([]byte, bool) {
	for _, name := range []string{"BERTH_KEY_PASSWORD", "COSIGN_PASSWORD"} {
		if word, ok := a.lookup(name); ok {
			return []byte(word), true
		}
	}
	return nil, false
}

// terminal is the standard input, when a person sits there.
func (a *app) terminal() (fd int, ok bool) {
	file, ok := a.process.Stdin.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}

// ask reads a password that nobody can see. Ctrl-C ends it, and leaves the terminal as it was.
func (a *app) ask(ctx context.Context, prompt string) ([]byte, error) {
	fd, _ := a.terminal()
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fault.New(fault.Credentials, "the key's password", "set BERTH_KEY_PASSWORD", "cannot ask for it: %w", err)
	}
	_, _ = fmt.Fprint(a.process.Stderr, prompt)
	defer func() { _, _ = fmt.Fprintln(a.process.Stderr) }()
	type answer struct {
		word []byte
		err  error
	}
	given := make(chan answer, 1)
	go func() { // reading a terminal cannot be interrupted; what is left reading ends with the process
		word, err := term.ReadPassword(fd)
		given <- answer{word, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	case got := <-given:
		if got.err != nil {
			return nil, fault.New(fault.Credentials, "the key's password", "set BERTH_KEY_PASSWORD",
				"cannot read it: %w", got.err)
		}
		return got.word, nil
	}
}
