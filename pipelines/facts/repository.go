package facts

import (
	"context"
	"errors"
)

type Repository struct{ root string }

type Option func(*Repository)

func Open(dir string, options ...Option) (*Repository, error) { return nil, errors.ErrUnsupported }

func (r *Repository) Root() string { return r.root }

func (r *Repository) Facts(ctx context.Context, options Options) (Facts, error) {
	return Facts{}, errors.ErrUnsupported
}

func (r *Repository) Tags(ctx context.Context) ([]Tag, error) { return nil, errors.ErrUnsupported }

func (r *Repository) Log(ctx context.Context, stop map[string]bool, path string) ([]Commit, error) {
	return nil, errors.ErrUnsupported
}

func (r *Repository) CommitFiles(ctx context.Context, files map[string][]byte, message string) (string, error) {
	return "", errors.ErrUnsupported
}

func (r *Repository) CreateTag(ctx context.Context, name, message, commit string) (bool, error) {
	return false, errors.ErrUnsupported
}

func (r *Repository) Push(ctx context.Context, refs []string) error { return errors.ErrUnsupported }

func (r *Repository) HeadFile(ctx context.Context, path string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
