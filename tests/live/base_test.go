package live

import (
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const baseYAML = `apiVersion: berth/v1
project: shop
version: {file: VERSION}
platforms: [linux/amd64]
components:
  web: {go: {dir: web}}
  shelf: {dockerfile: {context: shelf}}
registries:
  hub: {prefix: HOST/shop}
environments:
  dev: {registry: hub}
tags:
  - {branch: "**", set: ["v{version}", latest]}
`

// A base image that only an account may pull is built on, with the account that berth has, and refused as a matter of
// credentials without it.
func TestPrivateBase(t *testing.T) {
	t.Parallel()
	s, h := newShop(t), newHub(t, locked)
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(h.url, "http://")
	s.write("svc/berth.yaml", strings.Replace(baseYAML, "HOST", host, 1))
	s.write("svc/shelf/Dockerfile", "FROM "+host+"/shop/web:v0.1.0\nCOPY salt /\n")
	s.write("svc/shelf/salt", "salt")
	s.commit("feat: a shelf")
	login := func(word string) string {
		t.Helper()
		config := t.TempDir()
		account := base64.StdEncoding.EncodeToString([]byte("ada:" + word))
		content := `{"auths":{"` + host + `":{"auth":"` + account + `"}}}`
		if err := os.WriteFile(filepath.Join(config, "config.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "DOCKER_CONFIG=" + config
	}
	run(t, s.project(), []string{login(password)}, program, "publish", "--env", "dev", "--component", "web").ok(t)
	build := func(account string) result {
		t.Helper()
		// The Dagger CLI has no account of its own to offer.
		r := run(t, s.project(), []string{"DOCKER_CONFIG=" + t.TempDir()}, "dagger", "--silent", "run",
			"env", account, program, "build", "--builder", "dagger", "--component", "shelf")
		if strings.Contains(r.stdout+r.stderr, password) {
			t.Error("the password was printed")
		}
		if strings.Contains(r.stderr, "connection refused") {
			t.Skip("live: the engine does not see the loopback interface of this machine")
		}
		return r
	}
	if r := build(login("wrong")); !r.failed || !strings.Contains(r.stderr, "next: the registry does not give "+host+"/shop/web:v0.1.0") {
		t.Errorf("with a wrong password:\n%s%s", r.stdout, r.stderr)
	}
	build(login(password)).ok(t)
}

// keysGo prints how many keys the agent of SSH_AUTH_SOCK has.
// Source: https://datatracker.ietf.org/doc/html/draft-ietf-sshm-ssh-agent, section 3.5
const keysGo = `package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	agent, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		panic(err)
	}
	_, _ = agent.Write([]byte{0, 0, 0, 1, 11})
	answer := make([]byte, 9)
	if _, err := io.ReadFull(agent, answer); err != nil {
		panic(err)
	}
	fmt.Println(answer[4], answer[8])
}
`

// A step reaches the SSH agent of this machine, and nothing of it stays.
func TestAgent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, name := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("live: " + name + " is not installed")
		}
	}
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.NewReplacer("{context: shelf}", "{context: shelf, ssh: [{}]}", "HOST", "hub.example.com").Replace(baseYAML)
	s.write("svc/berth.yaml", yaml)
	s.write("keys/go.mod", "module example.com/keys\n\ngo 1.26.0\n")
	s.write("keys/main.go", keysGo)
	s.write("svc/shelf/Dockerfile", "FROM busybox:latest AS build\nCOPY keys /\nRUN --mount=type=ssh /keys > /seen\n"+
		"FROM scratch\nCOPY --from=build /seen /\n")
	compile := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS="}
	run(t, filepath.Join(s.root, "keys"), compile, "go", "build", "-o", "../svc/shelf/keys", ".").ok(t)
	s.commit("feat: a shelf")
	socket, layout := startAgent(t), filepath.Join(t.TempDir(), "layout")
	line := []string{"--silent", "run", program, "build", "--builder", "dagger", "--component", "shelf", "--output", layout}
	run(t, s.project(), []string{"SSH_AUTH_SOCK=" + socket}, "dagger", line...).ok(t)
	config, files := unpack(t, layout, "amd64")
	if got := files["seen"]; got != "12 1\n" {
		t.Errorf("the step saw %q, want the answer 12 with 1 key", got)
	}
	for _, h := range config.History {
		if strings.Contains(h.CreatedBy, socket) {
			t.Errorf("the history has the agent's socket: %s", h.CreatedBy)
		}
	}
	none := run(t, s.project(), []string{"SSH_AUTH_SOCK="}, "dagger", line...)
	if !none.failed || !strings.Contains(none.stderr, "its Dockerfile asks for an SSH agent, and there is none") {
		t.Errorf("without an agent:\n%s", none.stderr)
	}
}

// startAgent starts an SSH agent with one key, and returns its socket.
func startAgent(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	socket, key := filepath.Join(dir, "s"), filepath.Join(dir, "key")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	run(t, dir, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).ok(t)
	for range 100 {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	run(t, dir, []string{"SSH_AUTH_SOCK=" + socket}, "ssh-add", "-q", key).ok(t)
	return socket
}
