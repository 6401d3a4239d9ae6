package live

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const roadYAML = `apiVersion: berth/v1
project: shop
version: {file: VERSION}
platforms: [linux/amd64]
components:
  web: {go: {dir: web}}
registries:
  hub: {kind: oci, prefix: hub.example.com/dev}
  prod: {kind: oci, prefix: hub.example.com/prod}
environments:
  dev: {registry: hub, refs: {branches: ["**"]}, retention: [{match: "dev-*", keep: 1d}]}
  staging: {registry: prod, promote: {from: dev, approvals: [qa], set: ["v{version}", latest]}}
approvers:
  - {name: Ada, role: qa, key: ada.pub}
tags:
  - {branch: "**", set: ["dev-{sha}", latest]}
`

// What is published to dev comes to staging by digest; the board shows both, and retention judges the tags of one.
func TestPromotion(t *testing.T) {
	t.Parallel()
	s, h := newShop(t), newHub(t, nil)
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	word := []string{"BERTH_KEY_PASSWORD=" + password}
	run(t, s.project(), word, program, "key", "generate", "--output", "ada").ok(t)
	s.write(".gitignore", "*.key\n")
	s.write("svc/berth.yaml", roadYAML)
	s.git("add", "--all")
	long := []string{"GIT_AUTHOR_DATE=@1700000000 +0000", "GIT_COMMITTER_DATE=@1700000000 +0000"}
	who := []string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"}
	run(t, s.root, long, "git", append(who, "commit", "--quiet", "--message", "feat: a road, long ago")...).ok(t)
	published := decode[receipt](t, call(t, s.project(), h.service, "publish", "--env", "dev", "--format", "json").ok(t))

	call(t, s.project(), h.service, "promote", "--to", "dev").refused(t, "environment dev", "next:")
	needed := call(t, s.project(), h.service, "promote", "--to", "staging")
	needed.refused(t, "web", "next: ")
	if !strings.Contains(needed.stderr, "berth approve --to staging --role qa") {
		t.Errorf("it does not say who approves how:\n%s", needed.stderr)
	}
	sign := []string{h.service, "approve", "--to", "staging", "--key", "file:ada.key"}
	locked := call(t, s.project(), sign...)
	locked.refused(t, "--key: the key is encrypted", "next: give --key-password")
	if strings.Contains(locked.stderr, "--docker-config") {
		t.Errorf("a login would not help:\n%s", locked.stderr)
	}
	signed := callWith(t, s.project(), word, append(sign, "--key-password", "env:BERTH_KEY_PASSWORD")...)
	signed.ok(t)
	if strings.Contains(signed.stdout+signed.stderr, password) {
		t.Error("the key's password was printed")
	}
	if list := call(t, s.project(), h.service, "approvals").ok(t); !strings.Contains(list, "Ada") {
		t.Errorf("the approvals:\n%s", list)
	}
	h.ResetCounts()
	plan := call(t, s.project(), h.service, "promote", "--to", "staging", "--dry-run").ok(t)
	if n := h.Count(http.MethodPut, ""); n != 0 || !strings.Contains(plan, "v0.1.0") {
		t.Errorf("a dry run sent %d things:\n%s", n, plan)
	}
	promoted := call(t, s.project(), h.service, "promote", "--to", "staging").ok(t)
	if !strings.Contains(promoted, "1 image 0.1.0 promoted from dev to staging") {
		t.Errorf("the receipt:\n%s", promoted)
	}
	h.ResetCounts()
	if again := call(t, s.project(), h.service, "promote", "--to", "staging").ok(t); !strings.Contains(again, "unchanged") {
		t.Errorf("again:\n%s", again)
	}
	if n := h.Count(http.MethodPut, "") + h.Count(http.MethodPost, ""); n != 0 {
		t.Errorf("the second promotion sent %d things", n)
	}

	if trail := call(t, s.project(), h.service, "audit", "--env", "staging").ok(t); !strings.Contains(trail, "Ada") {
		t.Errorf("the trail:\n%s", trail)
	}
	call(t, s.project(), h.service, "verify", "--env", "staging").ok(t)
	call(t, s.project(), h.service, "verify").refused(t, "neither --env nor --refs", "next: name an environment")

	board := call(t, s.project(), h.service, "status", "--format", "json").ok(t)
	if digest := published.Images[0].Digest; strings.Count(board, digest) < 2 {
		t.Errorf("the board does not show %s twice:\n%s", digest, board)
	}
	page := filepath.Join(t.TempDir(), "board.html")
	call(t, s.project(), h.service, "board", "export", "--path", page).ok(t)
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "staging") {
		t.Errorf("the page: %v\n%s", err, html)
	}

	inUse := filepath.Join(t.TempDir(), "running.txt")
	if err := os.WriteFile(inUse, []byte(published.Images[0].Digest+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	judge := []string{h.service, "retention", "--env", "dev"}
	if text := call(t, s.project(), append(judge, "--in-use", inUse)...).ok(t); !strings.Contains(text, "0 expired") {
		t.Errorf("what runs expires:\n%s", text)
	}
	if text := call(t, s.project(), judge...).ok(t); !strings.Contains(text, "1 expired") {
		t.Errorf("nothing expires:\n%s", text)
	}
	call(t, s.project(), append(judge, "--apply")...).ok(t)
	if text := call(t, s.project(), judge...).ok(t); strings.Contains(text, "dev-") {
		t.Errorf("the tag is still there:\n%s", text)
	}
}
