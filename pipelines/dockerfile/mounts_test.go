package dockerfile_test

import (
	"testing"

	"github.com/berth-sh/berth/pipelines/dockerfile"
)

func TestWithoutCacheOwners(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"FROM a\nRUN --mount=type=cache,target=/c,mode=1777 --mount=type=secret,id=s,mode=0400 \\\n    make mode=1\n": "FROM a\nRUN " +
			"--mount=type=cache,target=/c --mount=type=secret,id=s,mode=0400 \\\n    make mode=1\n",
		"FROM a\nRUN \\\n  --mount=type=cache,uid=1,gid=2,target=/c,id=x \\\n  --mount=mode=7,type=cache,target=/d true\n": "FROM a\nRUN \\\n" +
			"  --mount=type=cache,target=/c,id=x \\\n  --mount=type=cache,target=/d true\n",
		"FROM a\nRUN --mount=type=cache,target=/c true\nRUN echo --mount=type=cache,mode=7\n": "",
	} {
		file, err := dockerfile.Parse("Dockerfile", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		got, had, err := file.WithoutCacheOwners()
		if err != nil || had != (want != "") || want == "" && string(got) != content || want != "" && string(got) != want {
			t.Errorf("%t %v\n%s", had, err, got)
		}
	}
}
