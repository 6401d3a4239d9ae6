package cloud

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

const (
	// imagesAtOnce is how many images ECR lists in one answer.
	imagesAtOnce = 1000
	// deletionsAtOnce is how many images ECR deletes in one request.
	deletionsAtOnce = 100
)

// Image is what ECR says of a manifest: an image, an index, or something attached to one.
type Image struct {
	Digest string
	// Tags may be empty, as those of an index's platforms are.
	Tags []string
	// Pushed is when the manifest was pushed, or its tag moved to it.
	Pushed time.Time
}

// Images lists every manifest of a repository. The error wraps registry.ErrNotFound when there is no such repository.
func (e *ECR) Images(ctx context.Context, repository string) ([]Image, error) {
	a, err := e.at(ctx, repository)
	if err != nil {
		return nil, err
	}
	pages := ecr.NewDescribeImagesPaginator(a.client, &ecr.DescribeImagesInput{
		RepositoryName: aws.String(a.name), RegistryId: aws.String(a.account), MaxResults: aws.Int32(imagesAtOnce),
	})
	var out []Image
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if _, missing := errors.AsType[*types.RepositoryNotFoundException](err); missing {
			return nil, fault.New(fault.Failed, repository, "", "%w", registry.ErrNotFound)
		}
		if err != nil {
			return nil, answered(ctx, "list the images of", repository, err)
		}
		for _, x := range page.ImageDetails {
			out = append(out, Image{
				Digest: aws.ToString(x.ImageDigest), Tags: x.ImageTags, Pushed: aws.ToTime(x.ImagePushedAt),
			})
		}
	}
	return out, nil
}

// DeleteImage deletes a manifest with all its tags.
func (e *ECR) DeleteImage(ctx context.Context, repository, digest string) error {
	return e.deleteImages(ctx, repository, []types.ImageIdentifier{{ImageDigest: aws.String(digest)}})
}

// DeleteTags deletes tags. ECR deletes an image with its last one.
func (e *ECR) DeleteTags(ctx context.Context, repository string, tags []string) error {
	var ids []types.ImageIdentifier
	for _, tag := range tags {
		ids = append(ids, types.ImageIdentifier{ImageTag: aws.String(tag)})
	}
	return e.deleteImages(ctx, repository, ids)
}

func (e *ECR) deleteImages(ctx context.Context, repository string, ids []types.ImageIdentifier) error {
	a, err := e.at(ctx, repository)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, deletionsAtOnce) {
		out, err := a.client.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{
			RepositoryName: aws.String(a.name), RegistryId: aws.String(a.account), ImageIds: some,
		})
		if err != nil {
			return answered(ctx, "delete images of", repository, err)
		}
		for _, f := range out.Failures {
			if f.FailureCode != types.ImageFailureCodeImageNotFound { // that one is gone already
				return fault.New(fault.Failed, repository, "", "ECR did not delete %s%s: %s: %s",
					aws.ToString(f.ImageId.ImageTag), aws.ToString(f.ImageId.ImageDigest), f.FailureCode,
					aws.ToString(f.FailureReason))
			}
		}
	}
	return nil
}
