package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// maxAnswer bounds an answer of a REST API, in bytes.
const maxAnswer = 64 << 20

// API is a REST interface of a registry.
type API struct {
	// Client carries the requests, with retries.
	Client *http.Client
	// Base is the address before the paths, such as https://quay.io.
	Base string
	// Token is sent as a bearer token; "" asks anonymously.
	Token string
	// Login is what to do when the token is refused.
	Login string
}

// do sends a request and reads a JSON answer into out, which may be nil. subject names what is asked for in messages.
// An error wraps registry.ErrNotFound when the answer was 404.
func (a API) do(ctx context.Context, method, path, subject string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.Base+path, http.NoBody)
	if err != nil {
		return fault.New(fault.Failed, subject, "", "%w", err)
	}
	req.Header.Set("Accept", "application/json")
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	resp, err := a.Client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fault.New(fault.Unavailable, subject,
			"check the network and the proxy settings, then run the same command again", "%s: %w", req.URL.Host, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return a.refused(resp, req.URL.Host, subject)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fault.New(fault.Failed, subject, "", "%s did not answer in JSON: %w", req.URL.Host, err)
	}
	return nil
}

// refused turns an answer into an error.
func (a API) refused(resp *http.Response, host, subject string) error {
	said := fmt.Sprintf("%s answered %s%s", host, resp.Status, message(resp.Body))
	switch status := resp.StatusCode; {
	case status == http.StatusNotFound:
		return fault.New(fault.Failed, subject, "", "%s: %w", said, registry.ErrNotFound)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.New(fault.Credentials, subject, a.Login, "%s", said)
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return fault.New(fault.Unavailable, subject, "run the same command again later", "%s", said)
	default:
		return fault.New(fault.Failed, subject, "", "%s", said)
	}
}

// message is what an answer says in words, in the forms of GitHub and Quay.
func message(body io.Reader) string {
	const longest = 4 << 10
	var m struct {
		Message string `json:"message"`
		Detail  string `json:"detail"`
		Error   string `json:"error_message"`
	}
	// What is no JSON is a page of some proxy, which helps nobody.
	_ = json.NewDecoder(io.LimitReader(body, longest)).Decode(&m)
	for _, text := range []string{m.Message, m.Error, m.Detail} {
		if text = strings.Join(strings.Fields(text), " "); text != "" {
			return ": " + text
		}
	}
	return ""
}
