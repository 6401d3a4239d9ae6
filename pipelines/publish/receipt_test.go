package publish_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

func someReceipt() publish.Receipt {
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	return publish.Receipt{
		Environment: "prd", Registry: "ecr", Commit: "abc", Version: "1.1.0",
		Images: []publish.Image{
			{
				Component: "web", Repository: "ghcr.io/acme/web", Digest: digest, Platforms: []string{"linux/amd64", "linux/arm64"},
				Tags: []publish.Tag{
					{Name: "v1.1.0", Class: version.ClassVersion, Action: publish.ActionCreated, Reason: "new"},
					{Name: "latest", Class: version.ClassFloating, Action: publish.ActionMoved, Reason: "from 1.0.0 to 1.1.0"},
				},
				Uploaded: registry.Uploaded{Blobs: 2, Bytes: 300, Manifests: 3},
			},
			{Component: "api", Repository: "ghcr.io/acme/api", Digest: "odd", Uploaded: registry.Uploaded{Blobs: 1, Bytes: 7, Manifests: 1}},
		},
	}
}

// The JSON form is a contract: keys, their order and the words in it.
func TestTheReceiptsJSON(t *testing.T) {
	t.Parallel()
	r := someReceipt()
	r.Images = r.Images[:1]
	got, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "environment": "prd",
 "registry": "ecr",
 "commit": "abc",
 "version": "1.1.0",
 "images": [
  {
   "component": "web",
   "repository": "ghcr.io/acme/web",
   "digest": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
   "platforms": [
    "linux/amd64",
    "linux/arm64"
   ],
   "tags": [
    {
     "name": "v1.1.0",
     "class": "version",
     "action": "created",
     "reason": "new"
    },
    {
     "name": "latest",
     "class": "floating",
     "action": "moved",
     "reason": "from 1.0.0 to 1.1.0"
    }
   ],
   "uploaded": {
    "blobs": 2,
    "bytes": 300,
    "manifests": 3
   }
  }
 ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestTheReceiptForPeople(t *testing.T) {
	t.Parallel()
	r := someReceipt()
	if got, want := r.Uploaded(), (registry.Uploaded{Blobs: 3, Bytes: 307, Manifests: 4}); got != want {
		t.Errorf("uploaded %+v, want %+v", got, want)
	}
	want := [][]string{
		{"web", "v1.1.0", "version", "created", "sha256:0123456789ab", "new"},
		{"web", "latest", "floating", "moved", "sha256:0123456789ab", "from 1.0.0 to 1.1.0"},
	}
	if diff := cmp.Diff(want, r.Table().Rows); diff != "" {
		t.Error(diff)
	}
	var b strings.Builder
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"### Published 1.1.0 to prd\n", "Commit `abc`\n", "| `ghcr.io/acme/web` | `v1.1.0` created<br>`latest` moved | linux/amd64<br>linux/arm64 | `sha256:0123",
	} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is not in\n%s", part, b.String())
		}
	}
}
