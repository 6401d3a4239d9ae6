package cloud_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

func TestImagesAreListedAndDeleted(t *testing.T) {
	t.Parallel()
	box := openBox(t, sandbox.Options{})
	e := cloud.NewECR(cloud.Options{Transport: box.Transport(), Key: key()})
	name := host + "/app/web"
	if _, err := e.Images(t.Context(), name); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("%v", err)
	}
	r, err := registry.NewClient(registry.Options{
		Transport:   box.Transport(),
		Credentials: registry.NewCredentials(registry.Explicit{"": {Username: "AWS", Password: sandbox.Password}}),
	}).Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Create(t.Context(), name, registry.RepositorySettings{Mutability: registry.Mutable}); err != nil {
		t.Fatal(err)
	}
	x := testimage.New(t, "web", 64)
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 120 { // more than one request deletes
		many = append(many, fmt.Sprintf("dev-%d", i))
	}
	for _, tag := range append([]string{"v1"}, many...) {
		if err := r.Tag(t.Context(), x.Index, x.Root, tag); err != nil {
			t.Fatal(err)
		}
	}
	images, err := e.Images(t.Context(), name)
	if err != nil || len(images) != 3 { // the index and its platforms
		t.Fatalf("%+v, %v", images, err)
	}
	child := ""
	for _, i := range images {
		if time.Since(i.Pushed) > time.Hour || i.Pushed.IsZero() {
			t.Errorf("pushed %s", i.Pushed)
		}
		if i.Digest == x.Root.Digest.String() {
			if len(i.Tags) != 121 {
				t.Errorf("%d tags", len(i.Tags))
			}
		} else {
			child = i.Digest
		}
	}
	if err := e.DeleteImage(t.Context(), name, child); err == nil || !strings.Contains(err.Error(), "ImageReferencedByManifestList") {
		t.Errorf("a platform of an index: %v", err)
	}
	for range 2 { // what is gone already is done
		if err := e.DeleteTags(t.Context(), name, many); err != nil {
			t.Fatal(err)
		}
	}
	if tags, err := r.Tags(t.Context()); err != nil || len(tags) != 1 {
		t.Errorf("%v, %v", tags, err)
	}
	for _, digest := range []string{x.Root.Digest.String(), child} {
		if err := e.DeleteImage(t.Context(), name, digest); err != nil {
			t.Error(err)
		}
	}
	if images, err = e.Images(t.Context(), name); err != nil || len(images) != 1 {
		t.Errorf("%+v, %v", images, err)
	}
}
