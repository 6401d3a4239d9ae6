package function

import (
	"strings"
	"testing"
)

const validBuild = `{"thirdPartyId":"acme","parserId":"invoice-parser","sourceRef":"s3://sources/acme/invoice.tar"}`

func TestImageIsDeterministicAndFollowsTheContent(t *testing.T) {
	t.Parallel()
	registry, err := ParseRegistry("localhost:5000/functions")
	if err != nil {
		t.Fatal(err)
	}
	image := func(data string) string {
		t.Helper()
		build, err := ReadBuild([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		image, err := registry.Image(build)
		if err != nil {
			t.Fatal(err)
		}
		return image.Image
	}
	// The hash is what sha256sum prints for validBuild, cut to 32 digits.
	const want = "localhost:5000/functions/acme/invoice-parser:src-4fa03839b033e5c33849ee086f486bfe"
	if got := image(validBuild); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	spaced := strings.ReplaceAll(validBuild, `,`, ` , `)
	if got := image(spaced); got != want {
		t.Errorf("white space changes the image to %s", got)
	}
	digested := strings.Replace(validBuild, `}`, `,"sourceDigest":"sha256:`+strings.Repeat("a", 64)+`"}`, 1)
	if got := image(digested); got == want {
		t.Error("another source gives the same image")
	}
}

func TestReadBuildRefuses(t *testing.T) {
	t.Parallel()
	swap := func(from, to string) string { return strings.Replace(validBuild, from, to, 1) }
	tests := map[string]struct{ data, says string }{
		"empty":              {"", "EOF"},
		"null":               {"null", "thirdPartyId is missing"},
		"array":              {"[]", "cannot unmarshal array"},
		"unknown member":     {swap("parserId", "parserID2"), "unknown field"},
		"trailing":           {validBuild + "{}", "follows"},
		"wrong type":         {swap(`"acme"`, "7"), "cannot unmarshal number"},
		"no parser":          {swap("invoice-parser", ""), "parserId is missing"},
		"upper case":         {swap("acme", "Acme"), "lower-case"},
		"path escape":        {swap("acme", "../evil"), "lower-case"},
		"long id":            {swap("acme", strings.Repeat("a", 64)), "at most 63"},
		"bad digest":         {swap("}", `,"sourceDigest":"sha256:abc"}`), "sourceDigest"},
		"no source":          {swap("s3://sources/acme/invoice.tar", ""), "sourceRef is missing"},
		"long source":        {swap("invoice.tar", strings.Repeat("x", 2048)), "at most 2048"},
		"scheme":             {swap("s3://", "file://"), `scheme "file"`},
		"no scheme":          {swap("s3://", ""), "scheme"},
		"no path":            {swap("s3://sources/acme/invoice.tar", "s3://sources/"), "needs a host"},
		"no host":            {swap("s3://sources/acme/invoice.tar", "https:///x"), "needs a host"},
		"space":              {swap("invoice.tar", "in voice.tar"), "space"},
		"not a URL":          {swap("s3://sources", "s3://sources:port"), "not a URL"},
		"credentials inside": {swap("s3://", "https://me:hunter2@"), "credentials"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadBuild([]byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want an error with %q", err, tt.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestParseRegistry(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		"ghcr.io/brunovlucena": true, "localhost:5000": true, "339954290315.dkr.ecr.us-west-2.amazonaws.com/a/b": true,
		"gcr.io/my__project": true, "": false, "https://ghcr.io": false, "ghcr.io/": false, "ghcr.io//a": false,
		"GHCR.io/a": false, "ghcr.io/A": false, "ghcr.io/a:tag": false, "host:999999": false, "-a.io": false,
	} {
		if _, err := ParseRegistry(s); (err == nil) != ok {
			t.Errorf("ParseRegistry(%q) = %v, want ok %v", s, err, ok)
		}
	}
}
