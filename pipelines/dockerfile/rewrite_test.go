package dockerfile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/fault"
)

var (
	oldDigest = "sha256:" + strings.Repeat("0", 64)
	newDigest = "sha256:" + strings.Repeat("1", 64)
)

// pinAll pins every base of a Dockerfile to the new digest.
func pinAll(t *testing.T, content string, in dockerfile.Inputs) (string, error) {
	t.Helper()
	d, err := dockerfile.Parse("Dockerfile", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	in.Platforms = platforms(t, "linux/amd64")
	bases, err := d.Bases(in)
	if err != nil {
		t.Fatal(err)
	}
	var edits []dockerfile.Edit
	for _, b := range bases {
		found, err := d.Pin(b, in, "latest", newDigest)
		if err != nil {
			return "", err
		}
		edits = append(edits, found...)
	}
	out, err := dockerfile.Apply("Dockerfile", []byte(content), edits)
	return string(out), err
}

// OLD and NEW stand for digests. Every other byte of the file stays.
func TestPinRewritesTheDigestOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"digest":       {"FROM a:1@OLD AS x  \r\n\r\nRUN  y\n", "FROM a:1@NEW AS x  \r\n\r\nRUN  y\n"},
		"no line end":  {"FROM a:1@OLD", "FROM a:1@NEW"},
		"from an ARG":  {"ARG I=a:1@OLD\nFROM ${I}\n", "ARG I=a:1@NEW\nFROM ${I}\n"},
		"digest alone": {"ARG D=OLD\nFROM a:1@${D}\n", "ARG D=NEW\nFROM a:1@${D}\n"},
		"twice": {
			"ARG I=a:1@OLD\nFROM $I AS x\nFROM $I\nCOPY --from=x / /\n", "ARG I=a:1@NEW\nFROM $I AS x\nFROM $I\nCOPY --from=x / /\n",
		},
		"copy":  {"FROM scratch\nCOPY --from=a:1@OLD /a /b\n", "FROM scratch\nCOPY --from=a:1@NEW /a /b\n"},
		"mount": {"FROM scratch\nRUN --mount=from=a:1@OLD,target=/a \\\n x\n", "FROM scratch\nRUN --mount=from=a:1@NEW,target=/a \\\n x\n"},
		"other lines with the digest": {
			"# was a:1@OLD\nFROM a:1@OLD\nLABEL base=OLD\n", "# was a:1@OLD\nFROM a:1@NEW\nLABEL base=OLD\n",
		},
		"no digest":           {"FROM a:1 AS a\n", "FROM a:1@NEW AS a\n"},
		"no tag":              {"FROM golang AS golang\n", "FROM golang:latest@NEW AS golang\n"},
		"no digest, platform": {"FROM --platform=linux/amd64 linux/amd64:1\n", "FROM --platform=linux/amd64 linux/amd64:1@NEW\n"},
		"no digest, ARG":      {"ARG I=\"a:1\"\nFROM $I\n", "ARG I=\"a:1@NEW\"\nFROM $I\n"},
		"no digest, copy":     {"FROM scratch\nCOPY --from=a a /a\n", "FROM scratch\nCOPY --from=a:latest@NEW a /a\n"},
		"no digest, mount": {
			"FROM scratch\nRUN --mount=from=a,target=/a a a\n", "FROM scratch\nRUN --mount=from=a:latest@NEW,target=/a a a\n",
		},
		"not a part of a name": {"ARG X=ab:12\nARG I=b:1\nFROM $I\n", "ARG X=ab:12\nARG I=b:1@NEW\nFROM $I\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replace := strings.NewReplacer("OLD", oldDigest, "NEW", newDigest)
			got, err := pinAll(t, replace.Replace(c.before), dockerfile.Inputs{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(replace.Replace(c.after), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestPinLeavesAloneWhatIsPutTogether(t *testing.T) {
	t.Parallel()
	_, err := pinAll(t, "ARG V=1\nFROM a:$V\n", dockerfile.Inputs{})
	if !errors.Is(err, dockerfile.ErrNotLiteral) || !strings.Contains(err.Error(), "Dockerfile:2: a:1") {
		t.Error(err)
	}
	// The digest is an argument of the build, and so not in the file.
	_, err = pinAll(t, "ARG D\nFROM a:1@$D\n", dockerfile.Inputs{Args: map[string]string{"D": oldDigest}})
	if !errors.Is(err, dockerfile.ErrNotLiteral) {
		t.Error(err)
	}
}

func TestEditsMustAgree(t *testing.T) {
	t.Parallel()
	one := dockerfile.Edit{Start: 2, End: 4, Text: "x"}
	if got, err := dockerfile.Apply("f", []byte("0123456"), []dockerfile.Edit{{Start: 5, End: 5, Text: "y"}, one, one}); err != nil || string(got) != "01x4y56" {
		t.Errorf("%s %v", got, err)
	}
	_, err := dockerfile.Apply("f", []byte("0\n23456"), []dockerfile.Edit{one, {Start: 2, End: 4, Text: "z"}})
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "f:2: one digest stands for") {
		t.Error(err)
	}
}

func TestPinYAML(t *testing.T) {
	t.Parallel()
	replace := strings.NewReplacer("OLD", oldDigest, "NEW", newDigest)
	for name, c := range map[string]struct {
		before string
		line   int
		after  string // "" is not found
	}{
		"its line":   {"a: OLD\nb: x@OLD # old\n", 2, "a: OLD\nb: x@NEW # old\n"},
		"an anchor":  {"a: &a x@OLD\nb: *a\n", 2, "a: &a x@NEW\nb: *a\n"},
		"ambiguous":  {"a: x@OLD\nb: x@OLD\nc: y\n", 3, ""},
		"a variable": {"a: $X\n", 1, ""},
	} {
		content := []byte(replace.Replace(c.before))
		edits, err := dockerfile.PinYAML(content, c.line, oldDigest, newDigest)
		if c.after == "" {
			if !errors.Is(err, dockerfile.ErrNotLiteral) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		got, applied := dockerfile.Apply("f", content, edits)
		if diff := cmp.Diff(replace.Replace(c.after), string(got)); err != nil || applied != nil || diff != "" {
			t.Errorf("%s: %v %v\n%s", name, err, applied, diff)
		}
	}
}

// Whatever the file holds, reading it ends in images or in a fault that names it, and pinning changes nothing but
// digests: the same images are read again, now with the digest.
func FuzzDockerfile(f *testing.F) {
	for _, seed := range []string{
		kubernaut, "", "FROM a", "FROM scratch\nCOPY --from=a a /a", "# escape=`\nFROM `\n a", "FROM a\nRUN <<E\nFROM b\nE\n",
		"ARG A=b\nFROM ${A:-c}${A:+d}", "FROM a AS b\nFROM b", "FROM scratch\nRUN --mount=from=a,target=/x x", "FROM a@" + oldDigest,
		"\ufeffFROM a", "FROM scratch\nONBUILD COPY --from=a / /", "FROM --platform=$TARGETPLATFORM a", "ARG D=" + oldDigest + "\nFROM a:1@$D",
		"FROM a\nRUN --mount=", "ONBUILD ONBUILD", "FROM ${a#b}${c/d/e}", "FROM \"a\"", "FROM a\\\n:1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		in := dockerfile.Inputs{Platforms: platforms(t, "linux/amd64", "linux/arm64")}
		d, err := dockerfile.Parse("Dockerfile", content)
		var bases []dockerfile.Base
		if err == nil {
			bases, err = d.Bases(in)
		}
		if err != nil {
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Code != fault.Usage || !strings.HasPrefix(e.Subject, "Dockerfile") {
				t.Errorf("%T %v", err, err)
			}
			return
		}
		for _, b := range bases {
			if b.Line < 1 || b.Line > strings.Count(string(content), "\n")+1 || b.Repository == "" {
				t.Errorf("%+v", b)
			}
			edits, err := d.Pin(b, in, "latest", newDigest)
			if err != nil {
				if !errors.Is(err, dockerfile.ErrNotLiteral) {
					t.Error(err)
				}
				continue
			}
			pinned, err := dockerfile.Apply("Dockerfile", content, edits)
			if err != nil {
				t.Error(err)
				continue
			}
			if again, err := read(t, string(pinned), in); err != nil || !slices.ContainsFunc(again, func(now dockerfile.Base) bool {
				return now.Repository == b.Repository && now.Digest == newDigest
			}) {
				t.Errorf("%+v is not pinned: %v\n%s", b, err, pinned)
			}
			if shorter := strings.ReplaceAll(string(pinned), newDigest, ""); len(shorter) > len(content)+len(":latest@") {
				t.Errorf("more than a digest was written:\n%s", pinned)
			}
		}
	})
}
