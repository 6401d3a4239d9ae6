package cloud

import (
	"context"
	"errors"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/berth-sh/berth/pipelines/registry"
)

// scope is what Google's registries ask of a token.
// Source: https://docs.cloud.google.com/artifact-registry/docs/docker/authentication#token
const scope = "https://www.googleapis.com/auth/cloud-platform"

// Google logs in to Google's registries with an access token of the application default credentials: a key or a
// workload identity named by GOOGLE_APPLICATION_CREDENTIALS, the login of gcloud, or the machine's own account.
// Source: https://docs.cloud.google.com/docs/authentication/application-default-credentials
type Google struct{ options Options }

// NewGoogle returns a source that looks for credentials when it is first asked.
func NewGoogle(o Options) Google { return Google{o} }

// Credential implements [registry.Source]. A token lives about an hour. Without credentials it is anonymous, with a
// note: public images can be read so.
func (g Google) Credential(ctx context.Context, host string) (registry.Credential, error) {
	if registry.KindOf(host) != registry.GCR {
		return registry.Credential{}, nil
	}
	bounded, cancel := context.WithTimeout(ctx, chainTimeout)
	defer cancel()
	type result struct {
		token *oauth2.Token
		err   error
	}
	got := make(chan result, 1)
	// The library asks a machine's metadata service without heeding the context.
	go func() {
		token, err := g.token(bounded)
		got <- result{token, err}
	}()
	var r result
	select {
	case r = <-got:
	case <-bounded.Done():
		r.err = bounded.Err()
	}
	if ctx.Err() != nil {
		return registry.Credential{}, context.Cause(ctx)
	}
	if r.err != nil {
		return registry.Credential{Note: "Google's application default credentials gave no token: " + googleText(r.err)}, nil
	}
	return registry.Credential{
		Username: registry.GoogleTokenUser, Password: r.token.AccessToken, Expires: r.token.Expiry,
		Source: "Google's application default credentials",
	}, nil
}

func (g Google) token(ctx context.Context) (*oauth2.Token, error) {
	if c := g.options.client(); c != nil {
		ctx = context.WithValue(ctx, oauth2.HTTPClient, c)
	}
	found, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		return nil, err
	}
	return found.TokenSource.Token()
}

// googleText is what the token server answered, without the body of its answer.
func googleText(err error) string {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		text := "the token server refused it"
		if e.Response != nil {
			text += ", " + e.Response.Status
		}
		if e.ErrorCode != "" {
			text += ", " + e.ErrorCode
		}
		return text
	}
	return said(err)
}
