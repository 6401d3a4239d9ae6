package cloud_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

func TestRepositoriesAreDescribedAndCreated(t *testing.T) {
	t.Parallel()
	box := openBox(t, sandbox.Options{RequireRepositories: true})
	e := cloud.NewECR(cloud.Options{Transport: box.Transport(), Key: key()})
	all := []string{host + "/app/a", host + "/app/b", host + "/app/c"}
	if got, err := e.Missing(t.Context(), all); err != nil || !cmp.Equal(got, all) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := e.Describe(t.Context(), all[0]); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("%v", err)
	}
	want := registry.RepositorySettings{
		Mutability: registry.ImmutableExcept, Exclusions: []string{"latest", "dev-*"}, ScanOnPush: true,
		Tags: map[string]string{"team": "shop", "cost": "1"},
	}
	for range 2 { // somebody else may have created it meanwhile
		if err := e.Create(t.Context(), all[1], want); err != nil {
			t.Fatal(err)
		}
	}
	want.Tags = map[string]string{} // they are not read back
	if got, err := e.Describe(t.Context(), all[1]); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v, %v", err, cmp.Diff(want, got))
	}
	if got, err := e.Missing(t.Context(), all); err != nil || !cmp.Equal(got, []string{all[0], all[2]}) {
		t.Errorf("%v, %v", got, err)
	}
	plain := registry.RepositorySettings{Mutability: registry.Mutable}
	for _, name := range []string{all[0], all[2]} {
		if err := e.Create(t.Context(), name, plain); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := e.Missing(t.Context(), all); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestOnlyPrivateRegistriesOfECRHaveRepositoriesToCreate(t *testing.T) {
	t.Parallel()
	e := cloud.NewECR(cloud.Options{Transport: refuses{t}, Key: key()})
	for _, name := range []string{"ghcr.io/o/n", "public.ecr.aws/a/n", "n"} {
		if err := e.Create(t.Context(), name, registry.RepositorySettings{}); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}
