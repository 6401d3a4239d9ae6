package image_test

import (
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/image"
)

func TestParsePlatform(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/amd64/v1": "linux/amd64", "linux/amd64/v3": "linux/amd64/v3",
		"linux/arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64", "linux/arm": "linux/arm/v7",
		"linux/arm/v6": "linux/arm/v6", "windows/amd64": "windows/amd64",
		"": "", "linux": "", "linux/": "", "/amd64": "", "linux/arm//": "", "linux/arm/v7/x": "",
	} {
		p, err := image.ParsePlatform(in)
		if want == "" {
			if err == nil {
				t.Errorf("%q is accepted as %+v", in, p)
			}
			continue
		}
		if got := image.PlatformString(p); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func FuzzParsePlatform(f *testing.F) {
	for _, s := range []string{"linux/amd64", "linux/arm64/v8", "linux/arm", "a/b/c/d", "//", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := image.ParsePlatform(s)
		if err != nil {
			return
		}
		again, err := image.ParsePlatform(image.PlatformString(p))
		if err != nil || image.PlatformString(again) != image.PlatformString(p) {
			t.Errorf("%q is not stable: %+v, %+v, %v", s, p, again, err)
		}
		if strings.Count(s, "/") == 2 && p.OS == "" {
			t.Errorf("%q gave no operating system", s)
		}
	})
}
