package status_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/status"
)

func at(d time.Duration) *time.Time {
	t := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).Add(-d)
	return &t
}

// board is a road with a component that lags behind, one that was rolled back and one that is new.
func board() status.Board {
	image := func(environment, tag, version, commit, hex string, age time.Duration) status.Cell {
		return status.Cell{
			Environment: environment, Repository: "quay.io/acme/" + environment, Tag: tag, Version: version,
			Commit: strings.Repeat(commit, 40), Digest: "sha256:" + strings.Repeat(hex, 64), Created: at(age), Drift: []string{},
		}
	}
	none := func(environment string) status.Cell {
		return status.Cell{Environment: environment, Repository: "quay.io/acme/" + environment, Drift: []string{}}
	}
	day := 24 * time.Hour
	ahead := image("staging", "staging-latest", "1.5.0", "b", "2", 3*time.Hour)
	ahead.Distance = &status.Distance{From: "dev", Behind: 2}
	back := image("production", "latest", "1.4.0", "c", "3", 9*day)
	back.Drift = []string{"1.4.1 is released, but latest names 1.4.0"}
	return status.Board{
		Project: "shop <&>", At: *at(0), Environments: []string{"dev", "staging", "production"},
		Components: []status.Row{
			{Component: "cart", Images: []status.Cell{
				image("dev", "dev-latest", "1.5.0", "a", "1", 20*time.Minute), ahead, back,
			}},
			{Component: "search", Images: []status.Cell{image("dev", "dev-latest", "1.5.0", "a", "4", 20*time.Minute), none("staging"), none("production")}},
		},
	}
}

func TestTheTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := board().Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `COMPONENT  ENVIRONMENT  VERSION  TAG             COMMIT        DIGEST               AGE  NOTES
cart       dev          1.5.0    dev-latest      aaaaaaaaaaaa  sha256:111111111111  20m
cart       staging      1.5.0    staging-latest  bbbbbbbbbbbb  sha256:222222222222  3h   2 behind dev
cart       production   1.4.0    latest          cccccccccccc  sha256:333333333333  9d   1.4.1 is released, but latest names 1.4.0
search     dev          1.5.0    dev-latest      aaaaaaaaaaaa  sha256:444444444444  20m
search     staging      –
search     production   –
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func page(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := board().HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page needs nothing else, and nothing that a registry says becomes a part of its markup.
func TestThePageIsSelfContained(t *testing.T) {
	t.Parallel()
	html := page(t)
	for _, forbidden := range []string{"<script", "<link", "<img", "src=", "@import", "url(", "http:", "https:", "shop <&>"} {
		if strings.Contains(html, forbidden) {
			t.Errorf("the page has %q", forbidden)
		}
	}
	for _, wanted := range []string{"shop &lt;&amp;&gt;", "prefers-color-scheme: dark", "2 behind dev", "sha256:" + strings.Repeat("3", 64)} {
		if !strings.Contains(html, wanted) {
			t.Errorf("the page lacks %q", wanted)
		}
	}
}

// chromium opens a file in a real browser, without a window and without a network.
func chromium(t *testing.T, file string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium: apt-get install chromium")
	}
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
		"--window-size=1100,430", "--virtual-time-budget=2000",
	}, append(args, "file://"+file)...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	return stdout.String()
}

// The browser builds the table that was meant, and paints another ground in the dark. BERTH_SCREENSHOT names a file for
// the picture of the docs.
func TestABrowserShowsThePage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "board.html")
	if err := os.WriteFile(file, []byte(page(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	dom := chromium(t, file, "--dump-dom")
	cells := regexp.MustCompile(`<td>`).FindAllString(dom, -1)
	if len(cells) != 6 || !strings.Contains(dom, `<span class="note drift">1.4.1 is released, but latest names 1.4.0</span>`) {
		t.Errorf("%d cells in\n%s", len(cells), dom)
	}
	pictures := map[string][]byte{}
	for scheme, args := range map[string][]string{
		"light": {"--blink-settings=preferredColorScheme=1"}, "dark": {"--blink-settings=preferredColorScheme=0"},
	} {
		to := filepath.Join(dir, scheme+".png")
		chromium(t, file, append(args, "--screenshot="+to)...)
		data, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		pictures[scheme] = data
	}
	if bytes.Equal(pictures["light"], pictures["dark"]) {
		t.Error("light and dark look the same")
	}
	if to := os.Getenv("BERTH_SCREENSHOT"); to != "" {
		for scheme, data := range pictures {
			if err := os.WriteFile(to+"-"+scheme+".png", data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
