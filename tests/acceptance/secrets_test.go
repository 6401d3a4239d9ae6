package acceptance

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// secrets are the texts that must be found nowhere, and what was found.
type secrets struct {
	texts map[string][]byte // by a name that says which form it is

	mu    sync.Mutex
	found []string
	stop  chan struct{}
	done  sync.WaitGroup
}

type secretsKey struct{}

// plant makes texts secret, writes the key of a Google service account into a file and makes it secret too, and from
// now on watches the command line of every process of this machine. Each text is looked for as it is, escaped as in
// JSON, and in base64 wherever it may begin there.
//
//	plant KEY-FILE TEXT…
func plant(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: plant KEY-FILE TEXT…")
	}
	s := &secrets{texts: map[string][]byte{}, stop: make(chan struct{})}
	for _, text := range args[1:] {
		s.add(text, text)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s.add("the private key", strings.Split(block, "\n")[5])
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "shop-1", "private_key_id": "1", "private_key": block,
		"client_email": "ci@shop-1.iam.gserviceaccount.com", "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
	})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), file, 0o600))
	*ts.Value(secretsKey{}).(**secrets) = s
	s.done.Go(s.watch)
	ts.Defer(func() {
		close(s.stop)
		s.done.Wait()
		if len(s.found) > 0 {
			ts.Fatalf("on a command line: %s", strings.Join(s.found, ", "))
		}
	})
}

func (s *secrets) add(name, text string) {
	s.texts[name] = []byte(text)
	for shift := range 3 {
		// Without what the neighbours of the text decide about.
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text))
		from, to := (shift*8+5)/6, (shift+len(text))*8/6
		s.texts[fmt.Sprintf("%s in base64, shifted by %d", name, shift)] = []byte(encoded[from:to])
	}
}

// in lists the secrets that some content holds.
func (s *secrets) in(content []byte) []string {
	var names []string
	for name, text := range s.texts {
		if bytes.Contains(content, text) {
			names = append(names, name)
		}
	}
	return names
}

// watch looks at the command lines of all processes again and again.
func (s *secrets) watch() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range files {
			line, err := os.ReadFile(file)
			if err != nil {
				continue // it has ended
			}
			if names := s.in(line); len(names) > 0 {
				s.mu.Lock()
				s.found = append(s.found, fmt.Sprintf("%s: %s", strings.Join(names, ", "), bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
				s.mu.Unlock()
			}
		}
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
	}
}

// quietly is exits, and wants none of the secrets in what the program prints.
//
//	quietly CODE PROGRAM ARGUMENT…
func quietly(ts *testscript.TestScript, neg bool, args []string) {
	exits(ts, neg, args)
	s := *ts.Value(secretsKey{}).(**secrets)
	for _, stream := range []string{"stdout", "stderr"} {
		if names := s.in([]byte(ts.ReadFile(stream))); len(names) > 0 {
			ts.Fatalf("%s of %s prints %s", stream, strings.Join(args[1:], " "), strings.Join(names, ", "))
		}
	}
}

// clean wants none of the secrets in any file below the folders, unpacked where it is packed, but for the files named
// after a dash.
//
//	clean FOLDER… - FILE…
func clean(ts *testscript.TestScript, _ bool, args []string) {
	s := *ts.Value(secretsKey{}).(**secrets)
	keep := map[string]bool{}
	var folders []string
	for i, arg := range args {
		if arg == "-" {
			for _, file := range args[i+1:] {
				keep[ts.MkAbs(file)] = true
			}
			break
		}
		folders = append(folders, ts.MkAbs(arg))
	}
	files := 0
	for _, folder := range folders {
		ts.Check(filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case keep[path] && entry.IsDir():
				return fs.SkipDir
			case keep[path]:
				return nil
			}
			if names := s.in([]byte(path)); len(names) > 0 {
				ts.Fatalf("%s names %s", path, strings.Join(names, ", "))
			}
			if !entry.Type().IsRegular() {
				return nil
			}
			files++
			content, err := os.ReadFile(path)
			for err == nil && len(content) > 0 {
				if names := s.in(content); len(names) > 0 {
					ts.Fatalf("%s has %s", path, strings.Join(names, ", "))
				}
				content, err = unpacked(content)
			}
			return err
		}))
	}
	ts.Logf("looked into %s files", strconv.Itoa(files))
}

// unpacked is the content of a gzip file, nothing for any other.
func unpacked(content []byte) ([]byte, error) {
	if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		return nil, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
