package cloud

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go"
)

// chainTimeout bounds the search for credentials. A metadata service answers in milliseconds where there is one; a
// login that runs a program or exchanges tokens needs seconds.
const chainTimeout = 20 * time.Second

// Options say how the clouds are reached. The zero value reaches them over the network.
type Options struct {
	// Transport carries the requests; nil is the libraries' own, which obeys HTTPS_PROXY and SSL_CERT_FILE.
	Transport http.RoundTripper
	// Key is used instead of AWS's own chain, for the sandbox.
	Key *Key
	// Keys is asked instead of AWS's own chain, once and not before AWS is. Its [fault.Error] is passed on.
	Keys func(context.Context) (Key, error)
}

// Key is an access key of AWS. It prints without the secret.
type Key struct {
	ID, Secret string
	// Session is the token that belongs to a temporary key; empty for one that lasts.
	Session string
}

// String prints the name of the key.
func (k Key) String() string { return k.ID + ":[redacted]" }

// GoString prints the name of the key.
func (k Key) GoString() string { return k.String() }

func (o Options) client() *http.Client {
	if o.Transport == nil {
		return nil
	}
	return &http.Client{Transport: o.Transport}
}

// noteLength is enough for a sentence that says what is wrong.
const noteLength = 300

// said is the text of a library's error, as far as it can hold no secret: one line, without what a program printed that
// should have printed a credential.
func said(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if _, ok := errors.AsType[*processcreds.ProviderError](err); ok {
		return "the credential_process of the AWS profile failed"
	}
	// The chain ends at the metadata service: its failure means that nothing before it had anything.
	if last, ok := errors.AsType[*smithy.OperationError](err); ok && last.Service() == "ec2imds" {
		return "no variables, no profile with a login, and no role of a machine"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > noteLength {
		text = strings.ToValidUTF8(text[:noteLength], "") + "…"
	}
	return text
}
