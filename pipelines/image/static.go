package image

import (
	"archive/zip"
	"bytes"
	"context"
	_ "embed"
	"encoding/pem"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

//go:generate cp $GOROOT/lib/time/zoneinfo.zip rootfs/zoneinfo.zip

// zoneinfo is the time zone database, see rootfs/README.md.
//
//go:embed rootfs/zoneinfo.zip
var zoneinfo []byte

const (
	caFile     = "etc/ssl/certs/ca-certificates.crt"
	nonrootID  = 65532
	passwdFile = `root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
`
	groupFile = `root:x:0:
nobody:x:65534:
nonroot:x:65532:
`
	nsswitchFile = `passwd: files
group: files
hosts: files dns
`
)

// Static is the base that berth carries: the CA roots of Mozilla, time zones, /etc/passwd and /etc/group with a user
// nonroot (65532), its home and /tmp. It has no shell and no libc. It is built once, when first used, and is the same
// one layer for every platform.
func Static() Base {
	build := sync.OnceValues(staticRoot)
	return Base{root: func(context.Context, ocispec.Platform) (root, error) { return build() }}
}

// staticRoot builds the layer. Its times are the epoch, and not the commit's as in a component's layer, so that its
// digest is the same for every commit, component and platform: a registry stores it once, and a publish finds it there.
func staticRoot() (root, error) {
	epoch := time.Unix(0, 0).UTC()
	entries, err := staticEntries()
	if err != nil {
		return root{}, fmt.Errorf("static base: %w", err)
	}
	var data bytes.Buffer
	l, err := writeLayer(context.Background(), &data, epoch, entries)
	if err != nil {
		return root{}, fmt.Errorf("static base: %w", err)
	}
	return root{
		layers:  []Blob{memoryBlob(ocispec.MediaTypeImageLayerGzip, data.Bytes())},
		diffIDs: []digest.Digest{l.diffID},
		history: []ocispec.History{{Created: &epoch, CreatedBy: "berth: static base"}},
		env:     []string{"SSL_CERT_FILE=/" + caFile},
		user:    nonroot,
	}, nil
}

func staticEntries() ([]entry, error) {
	entries := []entry{
		{name: "root/", mode: 0o700},
		{name: "home/nonroot/", mode: 0o700, id: nonrootID},
		{name: "tmp/", mode: 0o1777},
		text("etc/passwd", []byte(passwdFile)),
		text("etc/group", []byte(groupFile)),
		text("etc/nsswitch.conf", []byte(nsswitchFile)),
		text(caFile, caRoots()),
	}
	zones, err := zoneEntries()
	if err != nil {
		return nil, err
	}
	return withFolders(append(entries, zones...)), nil
}

// caRoots is the PEM file of Mozilla's roots in the order of their bytes. Roots that are trusted under conditions only
// (such as: certificates issued before a date) are left out, for a PEM file would trust them without.
func caRoots() []byte {
	var roots [][]byte
	for r := range bundle.Roots() {
		if r.Constraint == nil {
			roots = append(roots, r.Certificate)
		}
	}
	slices.SortFunc(roots, bytes.Compare)
	var out bytes.Buffer
	for _, der := range roots {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return out.Bytes()
}

// zoneEntries are the time zones as files, which every language's library reads.
func zoneEntries() ([]entry, error) {
	archive, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		return nil, fmt.Errorf("time zones: %w", err)
	}
	var out []entry
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("time zone %s: %w", f.Name, err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("time zone %s: %w", f.Name, err)
		}
		out = append(out, text("usr/share/zoneinfo/"+f.Name, data))
	}
	return out, nil
}

// withFolders adds the folders that entries lie in and that are not entries themselves, owned by root with mode 0755.
func withFolders(entries []entry) []entry {
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.name] = true
	}
	out := slices.Clone(entries)
	for _, e := range entries {
		for dir := path.Dir(strings.TrimSuffix(e.name, "/")); dir != "."; dir = path.Dir(dir) {
			if name := dir + "/"; !seen[name] {
				seen[name] = true
				out = append(out, entry{name: name, mode: 0o755})
			}
		}
	}
	return out
}
