package cloud

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// ErrNoCredentials is wrapped by an error when AWS's chain has no credentials: whoever logs in to ECR with a password
// alone can push, but cannot ask AWS about repositories.
var ErrNoCredentials = errors.New("AWS's chain has no credentials")

// describeAtOnce is how many repositories one request may name.
const describeAtOnce = 100

// Describe returns the settings of a repository "host/name" of ECR. The error wraps [registry.ErrNotFound] when there
// is none of that name.
func (e *ECR) Describe(ctx context.Context, repository string) (registry.RepositorySettings, error) {
	a, err := e.at(ctx, repository)
	if err != nil {
		return registry.RepositorySettings{}, err
	}
	out, err := a.describe(ctx, repository, a.name)
	if err != nil {
		return registry.RepositorySettings{}, err
	}
	if len(out) == 0 {
		return registry.RepositorySettings{}, fault.New(fault.Failed, repository, "", "%w", registry.ErrNotFound)
	}
	found := registry.RepositorySettings{
		Mutability: registry.Mutability(out[0].ImageTagMutability), Exclusions: []string{}, Tags: map[string]string{},
	}
	for _, f := range out[0].ImageTagMutabilityExclusionFilters {
		found.Exclusions = append(found.Exclusions, aws.ToString(f.Filter))
	}
	if scan := out[0].ImageScanningConfiguration; scan != nil {
		found.ScanOnPush = scan.ScanOnPush
	}
	return found, nil
}

// Missing returns those of the repositories that do not exist. All are of one host.
func (e *ECR) Missing(ctx context.Context, repositories []string) ([]string, error) {
	if len(repositories) == 0 {
		return nil, nil
	}
	a, err := e.at(ctx, repositories[0])
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range repositories {
		_, name, err := registry.ParseName(r)
		if err != nil {
			return nil, fault.New(fault.Usage, r, "", "%w", err)
		}
		names = append(names, name)
	}
	// One request when all are there, which is every time but the first; an answer about several says nothing when one
	// of them is missing.
	if len(names) <= describeAtOnce {
		switch _, err := a.describe(ctx, repositories[0], names...); {
		case err == nil:
			return nil, nil
		case !errors.Is(err, registry.ErrNotFound):
			return nil, err
		}
	}
	var mu sync.Mutex
	var missing []string
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, name := range names {
		g.Go(func() error {
			_, err := a.describe(gctx, repositories[i], name)
			if errors.Is(err, registry.ErrNotFound) {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, repositories[i])
				return nil
			}
			return err
		})
	}
	err = g.Wait()
	slices.Sort(missing)
	return missing, err
}

// Create creates a repository. One that somebody else created meanwhile is fine, and stays as it is.
func (e *ECR) Create(ctx context.Context, repository string, s registry.RepositorySettings) error {
	a, err := e.at(ctx, repository)
	if err != nil {
		return err
	}
	in := &ecr.CreateRepositoryInput{
		RepositoryName:             aws.String(a.name),
		RegistryId:                 aws.String(a.account),
		ImageTagMutability:         types.ImageTagMutability(s.Mutability),
		ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: s.ScanOnPush},
	}
	for _, wildcard := range s.Exclusions {
		in.ImageTagMutabilityExclusionFilters = append(in.ImageTagMutabilityExclusionFilters,
			types.ImageTagMutabilityExclusionFilter{
				Filter: aws.String(wildcard), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard,
			})
	}
	for key, value := range s.Tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	slices.SortFunc(in.Tags, func(x, y types.Tag) int { return strings.Compare(aws.ToString(x.Key), aws.ToString(y.Key)) })
	_, err = a.client.CreateRepository(ctx, in)
	if _, exists := errors.AsType[*types.RepositoryAlreadyExistsException](err); exists || err == nil {
		return nil
	}
	return answered(ctx, "create", repository, err)
}

// place is the API that answers for one repository.
type place struct {
	client        *ecr.Client
	account, name string
}

func (e *ECR) at(ctx context.Context, repository string) (place, error) {
	host, name, err := registry.ParseName(repository)
	if err != nil {
		return place{}, fault.New(fault.Usage, repository, "", "%w", err)
	}
	address, ok := registry.ParseECR(host)
	if !ok || address.Public {
		return place{}, fault.New(fault.Usage, repository, "leave createRepositories out for this registry",
			"only private registries of ECR have repositories that are created")
	}
	bounded, cancel := context.WithTimeout(ctx, chainTimeout)
	defer cancel()
	cfg, note, err := e.login(bounded)
	switch {
	case ctx.Err() != nil:
		return place{}, context.Cause(ctx)
	case err != nil:
		return place{}, err
	case note != "":
		return place{}, fault.New(fault.Credentials, host, "log in to AWS, for example: aws sso login", "%w: %s",
			ErrNoCredentials, note)
	}
	return place{client: e.api(cfg, address), account: address.Account, name: name}, nil
}

func (a place) describe(ctx context.Context, repository string, names ...string) ([]types.Repository, error) {
	out, err := a.client.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{
		RegistryId: aws.String(a.account), RepositoryNames: names,
	})
	if missing, ok := errors.AsType[*types.RepositoryNotFoundException](err); ok {
		return nil, fault.New(fault.Failed, repository, "", "%w: %s", registry.ErrNotFound, missing.ErrorMessage())
	}
	if err != nil {
		return nil, answered(ctx, "describe", repository, err)
	}
	return out.Repositories, nil
}
