package sandbox

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// awsImageID names an image of ECR by its digest or by a tag.
type awsImageID struct {
	Digest string `json:"imageDigest,omitempty"`
	Tag    string `json:"imageTag,omitempty"`
}

type awsFailure struct {
	ID     awsImageID `json:"imageId"`
	Code   string     `json:"failureCode"`
	Reason string     `json:"failureReason"`
}

// awsImage is an image in an answer. ECR's times are seconds since 1970.
type awsImage struct {
	RegistryID string   `json:"registryId"`
	Repository string   `json:"repositoryName"`
	Digest     string   `json:"imageDigest"`
	Tags       []string `json:"imageTags,omitempty"`
	Pushed     float64  `json:"imagePushedAt"`
	MediaType  string   `json:"imageManifestMediaType"`
}

// stored is a manifest in the folder of a repository.
type stored struct {
	mediaType string
	tags      []string
	children  []string
}

// describeImages lists all manifests, the platforms of an index too. It gives all of them in one page.
func (s *Sandbox) describeImages(w http.ResponseWriter, host string, asked awsRequest) {
	found, ok := s.readImages(w, host, asked)
	if !ok {
		return
	}
	out := []awsImage{}
	for name, x := range found {
		info, err := os.Stat(s.blobFile(host, asked.RepositoryName, name))
		if err != nil {
			continue // deleted meanwhile
		}
		out = append(out, awsImage{
			RegistryID: asked.RegistryID, Repository: asked.RepositoryName, Digest: name, Tags: x.tags,
			Pushed: float64(info.ModTime().UnixMilli()) / 1000, MediaType: x.mediaType,
		})
	}
	slices.SortFunc(out, func(a, b awsImage) int { return strings.Compare(a.Digest, b.Digest) })
	writeAWS(w, http.StatusOK, map[string]any{"imageDetails": out})
}

// readImages reads the layout of a repository, or writes why it cannot.
func (s *Sandbox) readImages(w http.ResponseWriter, host string, asked awsRequest) (map[string]stored, bool) {
	if !s.exists(host + "/" + asked.RepositoryName) {
		awsRefusal{
			"RepositoryNotFoundException", "The repository with name '" + asked.RepositoryName +
				"' does not exist in the registry with id '" + asked.RegistryID + "'",
		}.write(w)
		return nil, false
	}
	var top ocispec.Index
	body, err := os.ReadFile(filepath.Join(s.root, host, filepath.FromSlash(asked.RepositoryName), "index.json"))
	if err == nil {
		err = json.Unmarshal(body, &top)
	}
	if err != nil {
		awsRefusal{"ServerException", "the sandbox cannot read its state"}.write(w)
		return nil, false
	}
	found := map[string]stored{}
	s.collect(found, host, asked.RepositoryName)
	for _, d := range top.Manifests {
		if tag := d.Annotations[ocispec.AnnotationRefName]; tag != "" {
			x := found[d.Digest.String()]
			x.tags = append(x.tags, tag)
			found[d.Digest.String()] = x
		}
	}
	return found, true
}

// collect finds the manifests among the blobs: the layout's index does not name the platforms of an index that is gone.
func (s *Sandbox) collect(found map[string]stored, host, repository string) {
	dir := filepath.Dir(s.blobFile(host, repository, digest.FromString("").String()))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Size() > maxManifest {
			continue
		}
		var m struct {
			Version   int                  `json:"schemaVersion"`
			MediaType string               `json:"mediaType"`
			Manifests []ocispec.Descriptor `json:"manifests"`
		}
		body, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || json.Unmarshal(body, &m) != nil || m.Version != 2 {
			continue
		}
		x := stored{mediaType: m.MediaType}
		for _, child := range m.Manifests {
			x.children = append(x.children, child.Digest.String())
		}
		found["sha256:"+e.Name()] = x
	}
}

func (s *Sandbox) blobFile(host, repository, name string) string {
	d := digest.Digest(name)
	if d.Validate() != nil {
		return ""
	}
	return filepath.Join(s.root, host, filepath.FromSlash(repository), "blobs", d.Algorithm().String(), d.Encoded())
}

// batchDeleteImage deletes by digest or tag. An image goes with its last tag, and not while an index names it.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
func (s *Sandbox) batchDeleteImage(w http.ResponseWriter, r *http.Request, host string, asked awsRequest) {
	deleted, failures := []awsImageID{}, []awsFailure{}
	for _, id := range asked.ImageIDs {
		found, ok := s.readImages(w, host, asked)
		if !ok {
			return
		}
		name := id.Digest
		for digest, x := range found {
			if id.Tag != "" && slices.Contains(x.tags, id.Tag) {
				name = digest
			}
		}
		x, there := found[name]
		switch {
		case !there:
			failures = append(failures, awsFailure{id, "ImageNotFound", "Requested image not found"})
			continue
		case id.Tag != "" && len(x.tags) > 1:
			s.deleteManifest(r, host, asked.RepositoryName, id.Tag)
		case named(found, name):
			failures = append(failures, awsFailure{
				id, "ImageReferencedByManifestList", "Requested image referenced by manifest list",
			})
			continue
		default:
			s.deleteManifest(r, host, asked.RepositoryName, name)
		}
		deleted = append(deleted, awsImageID{name, id.Tag})
	}
	writeAWS(w, http.StatusOK, map[string]any{"imageIds": deleted, "failures": failures})
}

// named reports whether an index has the manifest as a child.
func named(found map[string]stored, digest string) bool {
	for _, x := range found {
		if slices.Contains(x.children, digest) {
			return true
		}
	}
	return false
}

// deleteManifest lets the embedded registry delete, which ECR does not offer over the registry API.
func (s *Sandbox) deleteManifest(r *http.Request, host, repository, reference string) {
	c := call{
		host: host, folder: host, kind: s.options.Kinds(host), repository: repository, endpoint: "manifests",
		target: reference,
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodDelete, //nolint:gosec // it never leaves the process
		"/v2/"+host+"/"+repository+"/manifests/"+reference, http.NoBody)
	if err != nil {
		return
	}
	s.guarded(&memo{header: http.Header{}}, req, c)
	if file := s.blobFile(host, repository, reference); file != "" {
		_ = os.Remove(file) // the embedded registry leaves it to its collector, which never runs here
	}
}
