package cloud

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// ECR asks AWS about its registries. It is safe for concurrent use.
type ECR struct {
	options Options

	mu   sync.Mutex
	base *aws.Config
}

// NewECR returns a client that loads the configuration of AWS when it is first needed.
func NewECR(o Options) *ECR { return &ECR{options: o} }

// Credential logs in to a registry of AWS with a token of GetAuthorizationToken, which lives 12 hours. Without
// credentials in AWS's chain it is anonymous, with a note: the public registry can be read so.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
func (e *ECR) Credential(ctx context.Context, host string) (registry.Credential, error) {
	address, ok := registry.ParseECR(host)
	if !ok {
		return registry.Credential{}, nil
	}
	bounded, cancel := context.WithTimeout(ctx, chainTimeout)
	defer cancel()
	cfg, note, err := e.login(bounded)
	if ctx.Err() != nil {
		return registry.Credential{}, context.Cause(ctx)
	}
	if err != nil || note != "" {
		return registry.Credential{Note: note}, err
	}
	if address.Public {
		return e.publicToken(bounded, cfg, host)
	}
	out, err := e.api(cfg, address).GetAuthorizationToken(bounded, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return registry.Credential{}, answered(ctx, "ask AWS for a token of", host, err)
	}
	if len(out.AuthorizationData) == 0 {
		return registry.Credential{}, noToken(host)
	}
	data := out.AuthorizationData[0]
	cred, err := e.token(host, aws.ToString(data.AuthorizationToken))
	cred.Expires = aws.ToTime(data.ExpiresAt)
	return cred, err
}

func (e *ECR) publicToken(ctx context.Context, cfg aws.Config, host string) (registry.Credential, error) {
	cfg.Region = "us-east-1" // the only region that gives tokens for it
	out, err := ecrpublic.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return registry.Credential{}, context.Cause(ctx)
		}
		// What is public can be read without a token.
		return registry.Credential{Note: "AWS gave no token for its public registry: " + apiText(err)}, nil
	}
	if out.AuthorizationData == nil {
		return registry.Credential{}, noToken(host)
	}
	cred, err := e.token(host, aws.ToString(out.AuthorizationData.AuthorizationToken))
	cred.Expires = aws.ToTime(out.AuthorizationData.ExpiresAt)
	return cred, err
}

// token takes apart the base64 of "AWS:PASSWORD".
func (e *ECR) token(host, text string) (registry.Credential, error) {
	plain, err := base64.StdEncoding.DecodeString(text)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || password == "" {
		return registry.Credential{}, noToken(host)
	}
	source := "the AWS credentials of this machine"
	if e.options.Keys != nil {
		source = "the AWS key that was given"
	}
	return registry.Credential{Username: user, Password: password, Source: source}, nil
}

func noToken(host string) error {
	return fault.New(fault.Failed, host, "check AWS_ENDPOINT_URL, if it is set", "AWS's answer holds no token")
}

// login loads the configuration of AWS once, and tells in a note why there are no credentials.
func (e *ECR) login(ctx context.Context) (cfg aws.Config, note string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.base == nil {
		loaded, err := e.load(ctx)
		if err != nil {
			return aws.Config{}, "the AWS configuration cannot be read: " + said(err), nil
		}
		e.base = &loaded
	}
	if _, err := e.base.Credentials.Retrieve(ctx); err != nil {
		if given, ok := errors.AsType[*fault.Error](err); ok {
			return aws.Config{}, "", given
		}
		return aws.Config{}, "AWS's chain found no credentials: " + said(err), nil
	}
	return e.base.Copy(), "", nil
}

func (e *ECR) load(ctx context.Context) (aws.Config, error) {
	if provider := e.options.provider(); provider != nil {
		cfg := aws.Config{Credentials: provider}
		if c := e.options.client(); c != nil {
			cfg.HTTPClient = c
		}
		return cfg, nil
	}
	// The SDK would write warnings to standard error.
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if c := e.options.client(); c != nil {
		options = append(options, config.WithHTTPClient(c))
	}
	return config.LoadDefaultConfig(ctx, options...)
}

// provider gives the keys that stand in for AWS's chain; nil is none.
func (o Options) provider() aws.CredentialsProvider {
	static := func(k Key) credentials.StaticCredentialsProvider {
		return credentials.NewStaticCredentialsProvider(k.ID, k.Secret, k.Session)
	}
	switch {
	case o.Key != nil:
		return static(*o.Key)
	case o.Keys != nil:
		return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			key, err := o.Keys(ctx)
			if err != nil {
				return aws.Credentials{}, err
			}
			return static(key).Retrieve(ctx)
		}))
	default:
		return nil
	}
}

// api is the client for the region of a registry.
func (e *ECR) api(cfg aws.Config, address registry.ECRAddress) *ecr.Client {
	return ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		o.Region = address.Region
		if address.FIPS {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if address.DualStack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
}

// answered turns an error of AWS's API into berth's.
func answered(ctx context.Context, op, subject string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	f := &fault.Error{Op: op, Subject: subject, Err: errors.New(apiText(err))}
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	switch code {
	case "": // no answer at all
		f.Code, f.Retryable = fault.Unavailable, true
		f.Next = "check the network, the proxy settings and the region in the registry's name, then run it again"
	case "AccessDeniedException", "AccessDenied":
		f.Code, f.Next = fault.Credentials, "grant the identity the action that AWS names, in IAM"
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		f.Code, f.Next = fault.Credentials, "log in to AWS again, for example: aws sso login"
	case "InvalidSignatureException", "SignatureDoesNotMatch":
		f.Code = fault.Credentials
		f.Next = "check the secret access key, and this machine's clock: AWS refuses requests that are 5 minutes off"
	case "UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationTokenException":
		f.Code = fault.Credentials
		f.Next = "check the access key (aws sts get-caller-identity), and that it is of the registry's AWS partition"
	case "ThrottlingException", "Throttling", "TooManyRequestsException", "ServerException", "InternalFailure":
		f.Code, f.Retryable, f.Next = fault.Unavailable, true, "run the same command again later"
	default:
		f.Code = fault.Failed
	}
	return f
}

// apiText is what AWS answered. The message about a wrong signature repeats the request, a session's token included, so
// that only its code is told.
func apiText(err error) string {
	api, ok := errors.AsType[smithy.APIError](err)
	switch {
	case !ok:
		return said(err)
	case strings.Contains(api.ErrorCode(), "Signature"):
		return api.ErrorCode()
	default:
		return fmt.Sprintf("%s: %s", api.ErrorCode(), said(errors.New(api.ErrorMessage())))
	}
}
